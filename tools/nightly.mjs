import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installIfMissing, ROOT, runNpm } from './serve/prepare.mjs';

/** `npm run nightly`: everything `.ci/run` does, then the checks that take too long for each change. */
const PARTS = [
  ['npm test', ['test']],
  ['interop with PEFT', ['run', 'test:interop']],
  ['every method on every backbone', ['run', 'matrix']],
  ['claims at full length', ['run', 'prove', '--', 'all']],
  ['benchmark', ['run', 'bench']],
];

await installIfMissing();
const results = [];
for (const [name, args] of PARTS) {
  console.log(`\n══ ${name}`);
  const from = performance.now();
  const code = await runNpm(args);
  results.push({ name, code, minutes: (performance.now() - from) / 60_000 });
}
console.log('\n══ minutes');
for (const { name, code, minutes } of results) {
  console.log(`${minutes.toFixed(1).padStart(6)}  ${name}${code === 0 ? '' : `  FAILED (${code})`}`);
}
if (!existsSync(join(ROOT, '..', 'shared', 'data')))
  console.log('Without ../shared/data: tests on it were skipped.');
process.exit(results.some(({ code }) => code !== 0) ? 1 : 0);
