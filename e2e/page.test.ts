import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import AxeBuilder from '@axe-core/playwright';
import { securityHeaders } from '../tools/serve/headers.mjs';
import { expect, offlineReady, serveStudio, test } from './studio.ts';

test('the page opens, isolated, with the headers', async ({ open, server }) => {
  const answer = await fetch(server.address);
  for (const [name, value] of Object.entries(securityHeaders)) expect(answer.headers.get(name)).toBe(value);
  const page = await open();
  await expect(page).toHaveTitle(/Graft/);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
});

test('axe finds nothing serious, in either theme', async ({ open }) => {
  const page = await open();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(' ')}`)).toEqual([]);
  }
});

test('a page that was open once opens without its server, with the same headers', async ({
  context,
  witness,
}) => {
  const server = await serveStudio();
  const page = await context.newPage();
  await page.goto(server.address);
  await offlineReady(page);
  await server.close();

  const answer = await page.reload();
  expect(answer?.fromServiceWorker()).toBe(true);
  expect(answer?.headers()['content-security-policy']).toBe(securityHeaders['Content-Security-Policy']);
  await expect(page.locator('#root')).not.toBeEmpty();
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  // The browser looks for a newer service worker, in vain.
  witness.expect(/sw\.js|ERR_CONNECTION_REFUSED/);
});

test('a bare host under a sub-path becomes isolated, and works offline', async ({ context, witness }) => {
  const server = await serveStudio({ headers: {}, base: '/some/where/' });
  const page = await context.newPage();
  await page.goto(server.address);
  await expect.poll(() => page.evaluate(() => crossOriginIsolated).catch(() => false)).toBe(true);
  await expect(page.locator('#root')).not.toBeEmpty();
  await offlineReady(page);
  await server.close();
  await page.reload();
  await expect(page.locator('#root')).not.toBeEmpty();
  witness.expect(/sw\.js|ERR_CONNECTION_REFUSED/);
});

test('npm start serves the page on the port it is given, and ends on Ctrl-C', async ({
  context,
  witness,
}) => {
  const script = fileURLToPath(new URL('../tools/start.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, '--port', '4000', '--no-open'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (text) => {
    printed += text;
  });
  await expect.poll(() => printed, { timeout: 120_000 }).toMatch(/http:\/\/localhost:\d+\//);
  const page = await context.newPage();
  await page.goto(/http:\/\/localhost:\d+\//.exec(printed)![0]);
  await expect(page.locator('#root')).not.toBeEmpty();
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGINT');
  expect(await ended).toBe(0);
  // What the page was still fetching in the background finds no server any more.
  witness.expect(/sw\.js|ERR_CONNECTION_REFUSED/);
});
