#!/usr/bin/env -S npx tsx
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { withVulkan } from '../cli/gpu.ts';
import { writeResults } from './results.ts';

const help = `npm run prove -- METHOD… [--seeds 3] [--steps N] [--data FOLDER] [--json FILE] [--write]

Shows the property that each method's paper claims, on real data where it has any, with the code of the page.
  METHOD       ids of methods, or all
  --seeds N    seeds 1 to N (3)
  --steps N    steps of a training run, instead of the claim's own
  --data       another folder with train/ and test/
  --json FILE  writes what was found: a list of { method, property, ours, baseline, margin, seeds, holds }
  --write      puts the figures into docs/results.md

Exit codes: 0 every claim holds (or its data is not here), 1 one does not, 2 the command line is wrong.`;

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '3' },
      steps: { type: 'string' },
      data: { type: 'string' },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  withVulkan();
  const { claims } = await import('./claims/index.ts');
  const asked = positionals.includes('all') ? claims.map((c) => c.method) : positionals;
  const chosen = asked.flatMap((id) => claims.find((c) => c.method === id) ?? []);
  const seeds = Number(values.seeds);
  const steps = values.steps === undefined ? undefined : Number(values.steps);
  if (
    !asked.length ||
    chosen.length < asked.length ||
    !(seeds >= 1) ||
    (steps !== undefined && !(steps >= 1))
  ) {
    console.error(`${help}\n\nMethods with a claim: ${claims.map((c) => c.method).join(', ')}.`);
    return 2;
  }
  const found = [];
  for (const claim of chosen) {
    const from = performance.now();
    const outcome = await claim.prove({ seeds, steps: steps ?? claim.steps, data: values.data });
    if (!outcome) continue;
    const minutes = (performance.now() - from) / 60_000;
    const { table, what, ours, baseline, margin, holds } = outcome;
    console.log(`\n${claim.title}\n${what}\n${table.join('\n')}`);
    console.log(`${holds ? 'holds' : 'DOES NOT HOLD'}; ${minutes.toFixed(1)} minutes.`);
    if (values.write) await writeResults(claim, outcome, minutes);
    found.push({ method: claim.method, property: claim.property, ours, baseline, margin, seeds, holds });
  }
  if (values.json) await writeFile(values.json, `${JSON.stringify(found, null, 1)}\n`);
  return found.every((f) => f.holds) ? 0 : 1;
}

main(process.argv.slice(2)).then(
  // Dawn keeps threads of its own that would hold the process open.
  (code) => process.exit(code),
  (error: Error & { code?: string }) => {
    process.stderr.write(`prove: ${error.code?.startsWith('ERR_PARSE') ? error.message : error.stack}\n`);
    process.exit(error.code?.startsWith('ERR_PARSE') ? 2 : 1);
  },
);
