import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface Locked {
  version?: string;
  integrity?: string;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}

const text = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8');
const { packages } = JSON.parse(text) as { packages: Record<string, Locked> };

/** Whether `name`, asked for from `path`, is found where Node would look. */
function locked(path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    if (`${folder}${folder && '/'}node_modules/${name}` in packages) return true;
    if (folder === '') return false;
  }
}

it('the lock file serves every platform: no optional package is left out', () => {
  // npm leaves out what its registry did not have that day, and `npm ci` then refuses the file everywhere.
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter((name) => !locked(path, name)),
  );
  expect(missing).toEqual([]);
});

it('the lock file pins each package by its hash and names no registry', () => {
  const loose = Object.entries(packages).filter(([path, p]) => path !== '' && !p.link && !p.integrity);
  expect(loose.map(([path]) => path)).toEqual([]);
  expect(text).not.toContain('"resolved"');
});
