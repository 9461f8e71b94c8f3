// Checks Node before anything that an old one could not even parse is loaded.
const [major] = process.versions.node.split('.').map(Number);
if (major < 20) {
  console.error(
    `Graft needs Node 20 or later; this is Node ${process.versions.node}. Install a current one and run npm start again.`,
  );
  process.exit(1);
}
const { start } = await import('./serve/start.mjs');
process.exitCode = await start(process.argv.slice(2));
