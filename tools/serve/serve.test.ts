import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hubHeaders, policy, policyText, securityHeaders } from './headers.mjs';
import { createStudioServer, listen, parseRange } from './serve.mjs';

describe('parseRange', () => {
  it.each([
    [undefined, null],
    ['bytes=0-3', { from: 0, to: 3 }],
    ['bytes=4-', { from: 4, to: 9 }],
    ['bytes=-3', { from: 7, to: 9 }],
    ['bytes=-30', { from: 0, to: 9 }],
    ['bytes=5-400', { from: 5, to: 9 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=6-5', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=-', null],
    ['bytes=0-1,4-5', null],
    ['lines=0-1', null],
  ])('reads %s', (header, wanted) => {
    expect(parseRange(header, 10)).toEqual(wanted);
  });
});

describe('the studio server', () => {
  const root = mkdtempSync(join(tmpdir(), 'graft-serve-'));
  let address = '';
  let close = async () => {};
  beforeAll(async () => {
    mkdirSync(join(root, 'dist', 'assets'), { recursive: true });
    writeFileSync(join(root, 'secret.txt'), 'outside');
    writeFileSync(join(root, 'dist', 'index.html'), '<!doctype html>');
    writeFileSync(join(root, 'dist', 'assets', 'weights-1.safetensors'), '0123456789');
    writeFileSync(join(root, 'dist', 'assets', 'hub.worker-1a_B.js'), '');
    writeFileSync(join(root, 'dist', 'empty.txt'), '');
    const server = await listen(() => createStudioServer({ root: join(root, 'dist') }), 0);
    address = `http://127.0.0.1:${server.port}`;
    close = server.close;
  });
  afterAll(async () => {
    await close();
    rmSync(root, { recursive: true });
  });

  it('gives every answer the headers, a refusal too', async () => {
    for (const path of ['/', '/assets/weights-1.safetensors', '/nowhere']) {
      const answer = await fetch(address + path);
      for (const [name, value] of Object.entries(securityHeaders))
        expect(answer.headers.get(name)).toBe(value);
    }
  });

  it('lets the hub worker alone, by its own policy, connect elsewhere', async () => {
    const answer = await fetch(`${address}/assets/hub.worker-1a_B.js`);
    for (const [name, value] of Object.entries(hubHeaders)) expect(answer.headers.get(name)).toBe(value);
    expect(hubHeaders['Content-Security-Policy']).toMatch(/connect-src 'self' https:/);
    expect(securityHeaders['Content-Security-Policy']).toMatch(/connect-src 'self';/);
  });

  it('sends the page for a folder, with its type, never from a stale cache', async () => {
    const answer = await fetch(`${address}/`);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect(await answer.text()).toBe('<!doctype html>');
  });

  it('sends parts of a file', async () => {
    const answer = await fetch(`${address}/assets/weights-1.safetensors`, {
      headers: { Range: 'bytes=2-4' },
    });
    expect(answer.status).toBe(206);
    expect(answer.headers.get('content-range')).toBe('bytes 2-4/10');
    expect(answer.headers.get('cache-control')).toContain('immutable');
    expect(await answer.text()).toBe('234');
    const past = await fetch(`${address}/assets/weights-1.safetensors`, { headers: { Range: 'bytes=10-' } });
    expect(past.status).toBe(416);
    expect(past.headers.get('content-range')).toBe('bytes */10');
  });

  it('sends empty files and bare heads', async () => {
    expect(await (await fetch(`${address}/empty.txt`)).text()).toBe('');
    const head = await fetch(`${address}/assets/weights-1.safetensors`, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe('10');
  });

  it.each([
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/..%5csecret.txt',
    '/%00',
    '/%E0%A4',
  ])('keeps to its folder: %s', async (path) => {
    expect((await fetch(address + path)).status).toBe(404);
  });

  it('answers reading only', async () => {
    expect((await fetch(address, { method: 'POST', body: 'x' })).status).toBe(405);
  });

  it('takes the next port when one is taken', async () => {
    const squatter = createServer();
    const taken = await new Promise<number>((resolve) =>
      squatter.listen(0, '127.0.0.1', () => resolve((squatter.address() as { port: number }).port)),
    );
    const server = await listen(() => createStudioServer({ root }), taken);
    expect(server.port).toBeGreaterThan(taken);
    await server.close();
    await new Promise((resolve) => squatter.close(resolve));
  });
});

it('the policy is the one that was decided', () => {
  expect(policyText(policy)).toBe(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self' 'unsafe-inline'; " +
      "img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; " +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
});
