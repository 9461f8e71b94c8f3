import { join } from 'node:path';
import { installIfMissing, ROOT, run } from './serve/prepare.mjs';

/** `npm run matrix`: every method on every tiny backbone; `npm test` takes one backbone a method. */
await installIfMissing();
const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
const tests = ['models/methods/matrix.test.ts'];
process.exit(await run(process.execPath, [vitest, 'run', ...tests], { env: { MATRIX: 'whole' } }));
