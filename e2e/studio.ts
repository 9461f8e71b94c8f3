import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type BrowserContext, test as base, type ConsoleMessage, expect, type Page } from '@playwright/test';
import { createStudioServer, listen } from '../tools/serve/serve.mjs';

export { expect };

export const DIST = process.env.GRAFT_DIST ?? fileURLToPath(new URL('../dist', import.meta.url));

/** The built page on a port of its own. */
export interface StudioServer {
  address: string;
  /** Closes the server as a laptop's lid does: what is served afterwards comes from the service worker. */
  close(): Promise<void>;
}

export async function serveStudio(
  options: { headers?: Record<string, string>; base?: string } = {},
): Promise<StudioServer> {
  if (!existsSync(`${DIST}/sw.js`)) throw new Error('There is no build to test. Run npm run build first.');
  const { port, close } = await listen(() => createStudioServer({ root: DIST, ...options }), 0);
  return { address: `http://localhost:${port}${options.base ?? '/'}`, close };
}

/** What went wrong on a page without failing an assertion. Each test ends by finding it empty. */
export class Witness {
  readonly problems: string[] = [];
  private readonly expected: RegExp[] = [];

  /** Declares a message that this test provokes. */
  expect(pattern: RegExp): void {
    this.expected.push(pattern);
  }

  watch(context: BrowserContext): void {
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol) && url.hostname !== 'localhost') {
        this.note(`a request left this machine: ${request.url()}`);
      }
    });
    context.on('console', (message: ConsoleMessage) => {
      if (message.type() === 'error') this.note(`console error: ${message.text()}`);
    });
    context.on('weberror', (error) => this.note(`uncaught: ${error.error().stack ?? error.error()}`));
  }

  note(problem: string): void {
    this.problems.push(problem);
  }

  assertClean(): void {
    const unexpected = this.problems.filter(
      (problem) => !this.expected.some((pattern) => pattern.test(problem)),
    );
    expect(unexpected, 'nothing fails, violates the policy, or leaves localhost').toEqual([]);
  }
}

interface Fixtures {
  witness: Witness;
  /** Opens the studio at an address (this worker's server by default) and waits until the engine answered. */
  open(path?: string): Promise<Page>;
}

interface WorkerFixtures {
  server: StudioServer;
  /** Stands where a proxy would: whatever the browser tries to reach beyond this machine arrives here. */
  outside: { tried: string[]; port: number };
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from this pattern.
    async ({}, use) => {
      const server = await serveStudio();
      await use(server);
      await server.close();
    },
    { scope: 'worker' },
  ],

  outside: [
    // biome-ignore lint/correctness/noEmptyPattern: as above.
    async ({}, use) => {
      const tried: string[] = [];
      const proxy = createServer((request, response) => {
        tried.push(request.url ?? '?');
        response.writeHead(502).end();
      });
      proxy.on('connect', (request, socket: Socket) => {
        tried.push(request.url ?? '?');
        socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      });
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      await use({ tried, port: (proxy.address() as AddressInfo).port });
      proxy.close();
    },
    { scope: 'worker' },
  ],

  context: async ({ browser, contextOptions, viewport, outside }, use) => {
    const context = await browser.newContext({
      ...contextOptions,
      viewport,
      proxy: { server: `http://127.0.0.1:${outside.port}`, bypass: 'localhost' },
    });
    await use(context);
    await context.close();
  },

  witness: async ({ context, outside }, use) => {
    const witness = new Witness();
    witness.watch(context);
    const before = outside.tried.length;
    await use(witness);
    for (const target of outside.tried.slice(before)) witness.note(`something tried to reach ${target}`);
    witness.assertClean();
  },

  open: async ({ context, server, witness: _ }, use) => {
    await use(async (path = '') => {
      const page = await context.newPage();
      await page.goto(new URL(path, server.address).href);
      await expect(page.locator('#root')).not.toBeEmpty();
      return page;
    });
  },
});

/** Waits until the page's service worker says that everything it keeps is kept. */
export async function offlineReady(page: Page): Promise<void> {
  await page.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        navigator.serviceWorker.addEventListener('message', ({ data }) => {
          if (data?.kind === 'offline-ready') resolve();
          if (data?.kind === 'offline-failed') reject(new Error(data.message));
        });
        void navigator.serviceWorker.ready.then(({ active }) => active?.postMessage('fetch-the-rest'));
      }),
  );
}

/** Begins to note the page's main-thread tasks of over 50 ms. @returns asks for their lengths so far, in milliseconds */
export async function longTasks(page: Page): Promise<() => Promise<number[]>> {
  const kept = await page.evaluateHandle(() => {
    const lengths: number[] = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) lengths.push(duration);
    }).observe({ type: 'longtask' });
    return lengths;
  });
  return () => kept.jsonValue();
}
