import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import manifest from '../../models/weights/manifest.json' with { type: 'json' };
import { hubHeaders, hubScript, metaPolicyText, securityHeaders } from './headers.mjs';

/** What stands in `public/sw.js` where the build puts its list of files. */
const PLACE = 'const BUILD = __BUILD__;';

/** What the service worker is told of a build. */
export interface Build {
  /** Changes with any file of the build. */
  version: string;
  /** Fetched before the worker takes over: without these the page does not open. */
  shell: string[];
  /** Fetched in the background once the page is open. */
  later: string[];
  /** Kept when first asked for, or in the background where the host is this machine. */
  onUse: string[];
  headers: Record<string, string>;
  /** Headers of single files that have their own. */
  ownHeaders: Record<string, Record<string, string>>;
}

/** Gzipped size that everything the first screen loads may have together. */
const FIRST_SCREEN_BUDGET = 250_000;

/**
 * Makes a build that works from any static host: writes the list of files into `sw.js`, puts the content policy into
 * the page for the first visit, and reports the weight of the first screen.
 */
export function offline(): Plugin {
  let outDir = 'dist';
  let firstScreen: string[] = [];
  return {
    name: 'graft-offline',
    apply: 'build',
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    transformIndexHtml: {
      order: 'post',
      handler: () => [
        {
          tag: 'meta',
          attrs: { 'http-equiv': 'Content-Security-Policy', content: metaPolicyText() },
          injectTo: 'head-prepend',
        },
      ],
    },
    generateBundle(_, bundle) {
      firstScreen = staticallyReached(bundle as Record<string, Emitted>);
    },
    writeBundle() {
      const build = fileLists(outDir);
      const file = join(outDir, 'sw.js');
      const source = readFileSync(file, 'utf8');
      if (!source.includes(PLACE)) throw new Error(`public/sw.js has no “${PLACE}” to fill in.`);
      writeFileSync(
        file,
        source.replace(PLACE, () => `const BUILD = ${JSON.stringify(build, null, 2)};`),
      );
      report(outDir, firstScreen, build);
    },
  };
}

interface Emitted {
  type: 'chunk' | 'asset';
  isEntry?: boolean;
  imports?: string[];
  viteMetadata?: { importedCss: Set<string> };
}

/** Scripts and styles the page loads before anything is asked for. */
function staticallyReached(bundle: Record<string, Emitted>): string[] {
  const seen = new Set<string>();
  const visit = (name: string) => {
    const chunk = bundle[name];
    if (seen.has(name) || chunk?.type !== 'chunk') return;
    seen.add(name);
    chunk.imports?.forEach(visit);
    for (const css of chunk.viteMetadata?.importedCss ?? []) seen.add(css);
  };
  for (const [name, chunk] of Object.entries(bundle)) if (chunk.isEntry) visit(name);
  return [...seen];
}

function fileLists(outDir: string): Build {
  const files = readdirSync(outDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(outDir, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((path) => path !== 'sw.js' && !path.endsWith('.map'))
    .sort();
  const hash = createHash('sha256');
  for (const path of files) hash.update(path).update(readFileSync(join(outDir, path)));
  hash.update(JSON.stringify([securityHeaders, hubHeaders]));
  const kind = (path: string) => {
    // Weights keep their folder's name in the build: see `assetFileNames` in vite.config.ts.
    if (path.startsWith('assets/weights/')) return path.includes(`/${manifest.default}/`) ? 'later' : 'onUse';
    if (/\.(wasm|mjs|onnx|safetensors)$/.test(path)) return path.includes('ort-') ? 'onUse' : 'later';
    // Decoders of sounds: see models/data/audio/codecs.
    return path.startsWith('samples/') || /Codec-[\w-]+\.js$/.test(path) ? 'later' : 'shell';
  };
  return {
    version: hash.digest('hex').slice(0, 16),
    shell: files.filter((path) => kind(path) === 'shell'),
    later: files.filter((path) => kind(path) === 'later'),
    onUse: files.filter((path) => kind(path) === 'onUse'),
    headers: securityHeaders,
    ownHeaders: Object.fromEntries(
      files.filter((path) => hubScript.test(path)).map((path) => [path, hubHeaders]),
    ),
  };
}

function report(outDir: string, firstScreen: string[], build: Build): void {
  const size = (paths: string[]) =>
    paths.reduce((sum, path) => sum + gzipSync(readFileSync(join(outDir, path))).length, 0);
  const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
  const first = size(firstScreen);
  console.log(
    `\nFirst screen ${kB(first)} gzipped of ${kB(FIRST_SCREEN_BUDGET)}; whole shell ${kB(size(build.shell))}.`,
  );
  if (first > FIRST_SCREEN_BUDGET)
    console.warn(`The first screen is over its budget by ${kB(first - FIRST_SCREEN_BUDGET)}.`);
}
