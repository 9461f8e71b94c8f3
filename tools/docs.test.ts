import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import pkg from '../package.json' with { type: 'json' };

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const rooms = /^(app|workers|models|gpu-shaders|tools|e2e|docs|public|\.ci)\//;

describe('the docs tell the truth where that can be checked', () => {
  it('every dependency has its row', () => {
    const page = read('docs/dependencies.md');
    const names = Object.keys({ ...pkg.dependencies, ...pkg.devDependencies });
    const missing = names.filter((name) => !page.includes(name.startsWith('@types/') ? '@types/*' : name));
    expect(missing).toEqual([]);
  });

  it.each(pages)('%s: links and file names lead somewhere', (page) => {
    const text = read(page);
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, to]) => join(dirname(page), to));
    const named = [...text.matchAll(/`([^`\s]+)`/g)]
      .map(([, name]) => name)
      .filter((name) => rooms.test(name) && !/[*<…]|\bx[./]|\bx$/.test(name));
    const gone = [...links, ...named].filter((path) => !existsSync(join(root, path)));
    expect(gone).toEqual([]);
  });

  it.each(pages)('%s: every npm script it names exists', (page) => {
    const named = [...read(page).matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name);
    expect(named.filter((name) => !(name in pkg.scripts))).toEqual([]);
  });
});
