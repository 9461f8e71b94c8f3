import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

const FORBIDDEN: [file: string, imports: string][] = [
  ['gpu-shaders/ops/x.ts', '../../models/scope.ts'],
  ['gpu-shaders/ops/x.ts', '../../workers/protocol.ts'],
  ['gpu-shaders/ops/x.ts', '../../app/studio.ts'],
  ['gpu-shaders/ops/x.ts', 'node:fs'],
  ['models/methods/x.ts', '../../workers/session/train.ts'],
  ['models/methods/x.ts', '../../app/studio.ts'],
  ['models/methods/x.ts', 'node:fs/promises'],
  ['workers/session/x.ts', '../../app/studio.ts'],
  ['workers/session/x.ts', 'node:fs'],
  ['workers/x.ts', '../app/studio.ts'],
  ['app/panels/rank/x.tsx', '../../../gpu-shaders/index.ts'],
  ['app/panels/rank/x.tsx', '../../../models/scope.ts'],
  ['app/panels/rank/x.tsx', '../../../workers/session/train.ts'],
];

const ALLOWED: [file: string, imports: string][] = [
  ['models/methods/x.ts', '../../gpu-shaders/index.ts'],
  ['models/methods/x.ts', './lora.ts'],
  ['workers/session/x.ts', '../../models/scope.ts'],
  ['workers/session/x.test.ts', 'node:fs'],
  ['gpu-shaders/testing/x.ts', 'node:fs'],
  ['app/panels/rank/x.tsx', '../../../workers/protocol.ts'],
  ['app/panels/rank/x.tsx', '../../../models/describe.ts'],
  ['tools/cli/x.ts', '../../workers/session/train.ts'],
];

describe('imports run one way: app to workers to models to gpu-shaders', () => {
  const folder = mkdtempSync(join(tmpdir(), 'graft-lint-'));
  /** Files in which the lint found a forbidden import. */
  let refused = new Set<string>();
  const place = (index: number, file: string) => {
    // One file a case, at the depth its import is written for.
    const [room, ...rest] = file.split('/');
    return [room, ...rest.slice(0, -1), `case${index}_${rest.at(-1)}`].join('/');
  };

  beforeAll(() => {
    copyFileSync(join(root, 'biome.json'), join(folder, 'biome.json'));
    copyFileSync(join(root, '.gitignore'), join(folder, '.gitignore'));
    for (const [index, [file, imports]] of [...FORBIDDEN, ...ALLOWED].entries()) {
      const path = join(folder, place(index, file));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `import { it } from '${imports}';\n\nexport const used = it;\n`);
    }
    const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
    const args = ['lint', '--reporter=json', '--max-diagnostics=none', '.'];
    const { stdout } = spawnSync(process.execPath, [biome, ...args], { cwd: folder, encoding: 'utf8' });
    const report = JSON.parse(stdout) as {
      diagnostics: { category: string; location: { path: string | { file: string } } }[];
    };
    refused = new Set(
      report.diagnostics
        .filter((d) => d.category === 'lint/style/noRestrictedImports')
        .map(({ location: { path } }) => (typeof path === 'string' ? path : path.file)),
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(FORBIDDEN.map((row, index) => [...row, index] as const))(
    '%s may not import %s',
    (file, _, index) => {
      expect(refused).toContain(place(index, file));
    },
  );

  it.each(ALLOWED.map((row, index) => [...row, index + FORBIDDEN.length] as const))(
    '%s may import %s',
    (file, _, index) => {
      expect(refused).not.toContain(place(index, file));
    },
  );

  it.each(['workers/protocol.ts', 'models/describe.ts'])(
    '%s, which the page may import, holds types only',
    (file) => {
      const { code } = transformSync(readFileSync(join(root, file), 'utf8'), { loader: 'ts' });
      expect(code.trim()).toBe('');
    },
  );
});
