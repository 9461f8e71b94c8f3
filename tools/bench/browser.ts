import { createReadStream } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from '@playwright/test';
import { build, type Plugin } from 'esbuild';
import { chromiumFlags, chromiumPath } from '../chromium.ts';
import type { Spec } from './model.ts';
import { peerTiles } from './peers.ts';
import { gpuProcessTime } from './processor.ts';

export interface Entry {
  name: string;
  /** Script that sets `globalThis.bench`. */
  file: string;
  args: object;
  /** The model that a peer's page trains, in place of its own table's. */
  spec?: Spec;
  /** Whether the others go on where this one fails. */
  optional?: boolean;
}

/** What a page's `bench` resolved to, and the GPU process's processor time in each of its turns, in milliseconds. */
export interface Outcome {
  result: unknown;
  processor: number[];
  /** Why an optional entry has no result. */
  error?: string;
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Folders that pages may fetch from, by the first part of the address. */
const folders: Record<string, string> = {
  weights: here('../../models/weights'),
  ort: here('../../node_modules/onnxruntime-web/dist'),
};
const types: Record<string, string> = { '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** The peers' pages measure and count with our code, so that all take turns and are counted alike. */
const sameMeasure: Plugin = {
  name: 'same-measure',
  setup(b) {
    b.onResolve({ filter: /^\.\/(measure|counters)\.js$/ }, ({ path }) => ({
      path: here(path.replace(/\.js$/, '.ts')),
    }));
  },
};

/** Lets a peer's page train the model that is asked for: its own table knows two shapes. */
const sameModel = (spec: Spec): Plugin => ({
  name: 'same-model',
  setup(b) {
    b.onResolve({ filter: /^\.\/model\.js$/ }, ({ resolveDir }) => ({
      path: join(resolveDir, 'model.js'),
      namespace: 'same-model',
    }));
    b.onLoad({ filter: /.*/, namespace: 'same-model' }, ({ path }) => ({
      contents: `export * from ${JSON.stringify(path)};\nexport const spec = () => (${JSON.stringify(spec)});`,
      resolveDir: dirname(path),
    }));
  },
});

/**
 * Opens every entry in a page of one fresh Chromium, and lets their steps go round in turns, so that a slow moment of
 * the machine meets all of them. Outcomes come in the entries' order; a page's error rejects unless it is optional.
 */
export async function runTogether(entries: readonly Entry[]): Promise<Outcome[]> {
  const executablePath = chromiumPath();
  if (!executablePath)
    throw new Error('No Chromium was found. Install one, or name one: CHROMIUM=/path npm run bench');
  const scripts = await Promise.all(entries.map(bundle));
  const server = await serve(scripts);
  const browser = await chromium.launch({
    executablePath,
    args: [...chromiumFlags, '--disable-gpu-watchdog', ...(process.env.CHROMIUM_FLAGS?.split(' ') ?? [])],
  });
  try {
    const turns = new Turns(entries.length);
    const { port } = server.address() as AddressInfo;
    return await Promise.all(
      entries.map(async (e, i) => {
        try {
          return await runPage(browser, `http://localhost:${port}/${i}`, e, turns);
        } catch (error) {
          if (!e.optional) throw error;
          turns.leave(e.name);
          return { result: null, processor: [], error: (error as Error).message };
        }
      }),
    );
  } finally {
    await browser.close();
    server.close();
  }
}

async function bundle({ file, spec }: Entry): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    format: 'esm',
    target: 'esnext',
    platform: 'browser',
    write: false,
    logLevel: 'error',
    plugins: [sameMeasure, peerTiles, ...(spec ? [sameModel(spec)] : [])],
  });
  return outputFiles[0].text;
}

/** Two headers isolate the pages, which gives them fine-grained timers and threads. */
async function serve(scripts: readonly string[]): Promise<Server> {
  const server = createServer(({ url }, response) => {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    const [, folder, file] = /^\/(\w+)\/([\w./-]+)$/.exec(url ?? '') ?? [];
    if (folder in folders && !file.includes('..')) {
      response.setHeader('Content-Type', types[extname(file)] ?? 'application/octet-stream');
      createReadStream(join(folders[folder], file))
        .on('error', () => response.destroy())
        .pipe(response);
      return;
    }
    const [, number, script] = /^\/(\d+)(\.js)?$/.exec(url ?? '') ?? [];
    response.statusCode = scripts[Number(number)] === undefined ? 404 : 200;
    response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
    response.end(
      script
        ? scripts[Number(number)]
        : `<!doctype html><link rel="icon" href="data:,"><script type="module" src="/${number}.js"></script>`,
    );
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

async function runPage(browser: Browser, address: string, entry: Entry, turns: Turns): Promise<Outcome> {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  const failed = failureOf(page, entry.name);
  await page.exposeFunction('takeTurn', () => turns.take(entry.name));
  const work = async () => {
    await page.goto(address);
    await page.waitForFunction('globalThis.bench');
    const result = await page.evaluate(
      (args) => (globalThis as unknown as { bench(a: object): Promise<unknown> }).bench(args),
      entry.args,
    );
    return { result, processor: turns.leave(entry.name) };
  };
  return Promise.race([work(), failed]);
}

function failureOf(page: Page, name: string): Promise<never> {
  return new Promise((_, reject) => {
    page.on('pageerror', (e) => reject(new Error(`${name}: ${e.message}`)));
    page.on('crash', () => reject(new Error(`${name}: its page crashed.`)));
    page.on('console', (m) => {
      if (m.type() === 'error') console.error(`[${name}] ${m.text().slice(0, 400)}`);
    });
  });
}

/** One page works at a time, in the order of asking; nobody begins before all have asked once. */
export class Turns {
  private readonly queue: { name: string; begin(): void }[] = [];
  private working: string | null = null;
  private readonly spent = new Map<string, number[]>();
  private processor: (() => number) | undefined;
  private from = 0;

  constructor(private missing: number) {}

  take(name: string): Promise<void> {
    this.end(name);
    if (!this.spent.has(name)) {
      this.spent.set(name, []);
      this.missing--;
    }
    return new Promise((begin) => {
      this.queue.push({ name, begin });
      this.next();
    });
  }

  /** Ends a page's part; what its turns took of the processor. */
  leave(name: string): number[] {
    this.end(name);
    if (!this.spent.has(name)) this.missing--;
    this.next();
    return this.spent.get(name) ?? [];
  }

  private end(name: string): void {
    if (this.working !== name) return;
    this.working = null;
    if (this.processor) this.spent.get(name)?.push(this.processor() - this.from);
  }

  private next(): void {
    if (this.working !== null || this.missing > 0) return;
    const first = this.queue.shift();
    if (!first) return;
    this.processor ??= gpuProcessTime();
    this.working = first.name;
    this.from = this.processor?.() ?? 0;
    first.begin();
  }
}
