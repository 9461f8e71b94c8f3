import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { TestHub } from '../hub/server.ts';
import { openBackbone } from './backbone.ts';
import { isHubName } from './hub.ts';

const cache = mkdtempSync(join(tmpdir(), 'graft-hub-'));
afterAll(() => rmSync(cache, { recursive: true }));

const vit = fileURLToPath(new URL('../reference/fixtures/vit-tiny', import.meta.url));
const commit = 'd1ce'.padEnd(40, '0');
const files = new Map(
  ['config.json', 'preprocessor_config.json', 'model.safetensors'].map((f) => [
    f,
    new Uint8Array(readFileSync(join(vit, f))),
  ]),
);

it('a backbone is fetched from a hub once, then opened from the cache without one', async () => {
  const hub = await TestHub.open({
    models: { 'some/vit': { commit, files } },
    fault: ({ number }) =>
      number === 2 ? { status: 503 } : number === 5 ? { resetAfter: 20_000 } : undefined,
  });
  const options = { hub: hub.address, cache };
  const [local, fetched] = [await openBackbone(vit), await openBackbone('some/vit', options)];
  expect(fetched.model.parameters).toEqual(local.model.parameters);
  expect(fetched.title).toBe('some/vit');
  await hub.close();
  const kept = await openBackbone(`some/vit@${commit}`, options);
  expect([kept.folder, kept.hash]).toEqual([fetched.folder, fetched.hash]);
  expect([...(await kept.baseFiles()).keys()].sort()).toEqual([...files.keys()].sort());
});

it('what is no folder and no name on a hub is told apart', async () => {
  expect(
    ['owner/name', 'gpt2@main', 'https://hub.example/a/b', 'a_b/c.d@v1'].every((n) => isHubName(n, {})),
  ).toBe(true);
  expect(['./folder/x', '/abs/folder', 'gpt2', 'a/b/c'].some((n) => isHubName(n, {}))).toBe(false);
  await expect(openBackbone('./nowhere')).rejects.toThrow('neither an embedded backbone, a folder');
});
