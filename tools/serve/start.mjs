import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildIfStale, installIfMissing, ROOT } from './prepare.mjs';
import { createStudioServer, listen } from './serve.mjs';

const DEFAULT_PORT = 4728;
const HELP = `npm start -- [--port N] [--no-open]

Installs and builds what is missing, then serves the studio on this machine.
  --port N    the port to listen on (default ${DEFAULT_PORT}); the next free one is taken when it is in use
  --no-open   do not open the browser
`;

/**
 * Everything between a fresh clone and a page in the browser.
 *
 * @param {string[]} args
 * @returns {Promise<number | undefined>} the exit code; undefined while the server keeps the process alive
 */
export async function start(args) {
  const options = read(args);
  if (typeof options === 'number') return options;
  try {
    await installIfMissing();
    await buildIfStale();
    const dist = join(ROOT, 'dist');
    const { port, close } = await listen(() => createStudioServer({ root: dist }), options.port);
    const address = `http://localhost:${port}/`;
    if (options.port !== 0 && port !== options.port) {
      console.log(
        `Port ${options.port} is taken, so this is ${port}. A browser keeps runs by address: earlier ones are at the old port.`,
      );
    }
    console.log(`\n  Graft is at ${address}\n  Ctrl-C ends it; the page goes on working offline.\n`);
    if (options.open) openBrowser(address);
    for (const signal of ['SIGINT', 'SIGTERM']) {
      process.once(signal, () => close().then(() => process.exit(0)));
    }
    return undefined;
  } catch (error) {
    console.error(`\n${error.message}`);
    return 1;
  }
}

function read(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        port: { type: 'string' },
        'no-open': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    return 2;
  }
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const port = values.port === undefined ? DEFAULT_PORT : Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    console.error(`--port takes a number from 0 to 65535, not “${values.port}”.`);
    return 2;
  }
  return { port, open: !values['no-open'] && !process.env.CI };
}

/** Opens the address in the user's browser where there is a screen; the address is printed in any case. */
function openBrowser(address) {
  const headless = process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY;
  const wsl = existsSync('/proc/sys/fs/binfmt_misc/WSLInterop');
  if (headless && !wsl) return;
  const [command, args] =
    process.platform === 'darwin'
      ? ['open', [address]]
      : process.platform === 'win32' || wsl
        ? ['cmd.exe', ['/c', 'start', '', address]]
        : ['xdg-open', [address]];
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.on('error', () =>
    console.log(`  The browser did not open by itself (${command} is missing): follow the address above.`),
  );
  child.unref();
}
