import { join } from 'node:path';
import { installIfMissing, ROOT, run } from '../serve/prepare.mjs';

/** `npm run bench`: installs what is missing, then runs `main.ts`. */
await installIfMissing();
process.exit(
  await run(process.execPath, [
    join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs'),
    join(ROOT, 'tools', 'bench', 'main.ts'),
    ...process.argv.slice(2),
  ]),
);
