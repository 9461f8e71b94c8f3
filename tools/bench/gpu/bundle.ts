import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Writes `.gpu/bench.mjs`: the program as one file, whose only imports are Node's own. */
export async function bundleGpu(): Promise<void> {
  const outfile = here('../../../.gpu/bench.mjs');
  await build({
    entryPoints: [here('bench.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
    logLevel: 'warning',
  });
  console.log(`Wrote ${outfile}.`);
}
