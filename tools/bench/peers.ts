import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = join(root, '..', 'shared', 'bench-peers');
const copy = join(root, '.cache', 'bench-peers');

const pages = { 'jax-js': 'train-jax.page.js', tfjs: 'train-tfjs.page.js' } as const;
export type Peer = keyof typeof pages;
export const peerNames = Object.keys(pages) as Peer[];

/** Why the peers cannot run here, or null. */
export function peersMissing(): string | null {
  return existsSync(join(source, 'package.json'))
    ? null
    : 'The peers are not here (no ../shared/bench-peers): ours and the floor only.';
}

/** Copies the peers' pages, whose folder may be read-only, and installs what they import. */
export function installPeers(): void {
  const manifest = (folder: string) => {
    const file = join(folder, 'package.json');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  const installed = existsSync(join(copy, 'node_modules', '@jax-js', 'jax'));
  const modules = manifest(source) === manifest(copy) && installed;
  rmSync(join(copy, 'src'), { recursive: true, force: true });
  for (const part of ['src', 'package.json'])
    cpSync(join(source, part), join(copy, part), { recursive: true });
  if (modules) return;
  console.log('Installing the peers (jax-js, TensorFlow.js).');
  const npm = process.env.npm_execpath;
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund'];
  const [command, ...more] = npm?.endsWith('.js') ? [process.execPath, npm, ...args] : ['npm', ...args];
  execFileSync(command, more, { cwd: copy, stdio: ['ignore', 'inherit', 'inherit'] });
}

export const peerPage = (peer: Peer): string => join(copy, 'src', pages[peer]);

/** The floor's page asks for the peers' generator of tiles; where they are not here, it gets none. */
export const peerTiles: Plugin = {
  name: 'peer-tiles',
  setup(b) {
    const file = join(source, 'src', 'wgsl.js');
    b.onResolve({ filter: /^peer-tiles$/ }, () =>
      existsSync(file) ? { path: file } : { path: 'none', namespace: 'peer-tiles' },
    );
    b.onLoad({ filter: /.*/, namespace: 'peer-tiles' }, () => ({ contents: 'export const kernel = null;' }));
  },
};
