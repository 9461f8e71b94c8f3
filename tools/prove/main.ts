#!/usr/bin/env -S npx tsx
import { parseArgs } from 'node:util';
import { withVulkan } from '../cli/gpu.ts';

const help = `npm run prove -- [lora] [--seeds 1] [--steps 200] [--data FOLDER] [--write]

Proves what the readme claims at full length, on real data, with the code of the page.
  --seeds N    seeds 1 to N (1)
  --steps N    steps of 32 pictures (200)
  --data       a folder with train/ and test/ (../shared/data/sign-digits)
  --write      puts the figures into docs/results.md

Exit codes: 0 every claim holds (or its data is not here), 1 one does not, 2 the command line is wrong.`;

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '1' },
      steps: { type: 'string', default: '200' },
      data: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const claim = positionals[0] ?? 'lora';
  const [seeds, steps] = [Number(values.seeds), Number(values.steps)];
  if (values.help) {
    console.log(help);
    return 0;
  }
  if (claim !== 'lora' || !(seeds >= 1) || !(steps >= 1)) {
    console.error(help);
    return 2;
  }
  withVulkan();
  const { proveLora } = await import('./lora.ts');
  return (await proveLora({ seeds, steps, data: values.data, write: values.write })) ? 0 : 1;
}

main(process.argv.slice(2)).then(
  // Dawn keeps threads of its own that would hold the process open.
  (code) => process.exit(code),
  (error: Error & { code?: string }) => {
    process.stderr.write(`prove: ${error.code?.startsWith('ERR_PARSE') ? error.message : error.stack}\n`);
    process.exit(error.code?.startsWith('ERR_PARSE') ? 2 : 1);
  },
);
