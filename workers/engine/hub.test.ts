import 'fake-indexeddb/auto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { bytesSource } from '../../models/checkpoints/bytes.ts';
import { readSafetensors, writeSafetensors } from '../../models/checkpoints/safetensors.ts';
import { type HubOptions, TestHub } from '../../tools/hub/server.ts';
import type { DroppedFile } from '../protocol.ts';
import { browser, fetchFile } from './testing.ts';

const real = fetch;
beforeAll(() => {
  // Embedded backbones come from the repository, a hub from its server.
  vi.stubGlobal('fetch', (url: string, options: RequestInit) =>
    `${url}`.startsWith('file:') ? fetchFile(url, options) : real(url, options),
  );
});
afterAll(() => {
  vi.unstubAllGlobals();
});

const fixture = (name: string) => {
  const folder = new URL(`../../tools/reference/fixtures/${name}/`, import.meta.url);
  const wanted = readdirSync(folder).filter((f) =>
    /^(config|preprocessor_config)\.json$|^model\.safetensors$/.test(f),
  );
  return new Map(wanted.map((f) => [f, new Uint8Array(readFileSync(new URL(f, folder)))]));
};
const files = fixture('vit-tiny');
const commit = 'abc123'.padEnd(40, '4');
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const dropped = (tree: ReadonlyMap<string, Uint8Array>): DroppedFile[] =>
  [...tree].map(([path, bytes]) => ({ path: `mine/${path}`, file: new File([bytes as BlobPart], path) }));

let hub: TestHub;
const open = async (tree = files, fault?: HubOptions['fault']) => {
  hub = await TestHub.open({ models: { 'some/vit': { commit, files: tree } }, fault });
  return { model: 'some/vit', hub: hub.address, token: '' };
};
afterEach(() => hub?.close());

describe('a backbone from a hub', () => {
  test('is loaded, listed, kept for the next visit, taken away and brought back', async () => {
    const request = await open();
    const here = await browser('hub-whole');
    const { engine, events } = await here.tab();
    const card = await engine.loadFromHub(request);
    expect(card).toMatchObject({ title: 'some/vit', family: 'Vision Transformer' });
    expect(card.source).toBe(`some/vit, commit ${commit.slice(0, 12)}, from ${hub.address}`);
    await expect
      .poll(() => events.findLast((e) => e.kind === 'progress' && e.job === 'hub'))
      .toMatchObject({ progress: { phase: 'Loading from the hub', unit: 'bytes' } });
    const [stored] = await engine.storedBackbones();
    expect(stored).toMatchObject({ id: card.id, missingBytes: 0, runs: 0, request: null });
    expect(stored.bytes).toBeGreaterThan(files.get('model.safetensors')!.length);
    await hub.close();

    const { engine: next } = await here.tab();
    const ids = async () => (await next.catalogue()).backbones.map(({ id }) => id);
    expect(await ids()).toContain(card.id);
    await next.removeBackbone(card.id);
    expect(await ids()).not.toContain(card.id);
    expect(await next.storedBackbones()).toEqual([]);
    await next.restoreBackbone(card.id);
    expect(await ids()).toContain(card.id);
  });

  test('that broke off stays, is shown, and goes on after a reload', async () => {
    let broken = true;
    let asked = 0;
    // The first request is for the header alone.
    const request = await open(files, ({ path }) =>
      broken && path.endsWith('model.safetensors') && asked++ > 0 ? { resetAfter: 9000 } : undefined,
    );
    const here = await browser('hub-broken');
    const { engine } = await here.tab();
    setTimeout(() => void engine.cancel('hub'), 400);
    await expect(engine.loadFromHub(request)).rejects.toThrow(/abort/i);
    const { engine: next } = await here.tab();
    const [part] = await next.storedBackbones();
    expect(part.request).toEqual({ model: `some/vit@${commit}`, hub: hub.address });
    expect(part.missingBytes).toBeGreaterThan(0);
    expect((await next.catalogue()).backbones.map(({ id }) => id)).not.toContain(part.id);
    broken = false;
    await next.loadFromHub({ ...part.request!, token: '' });
    expect(await next.storedBackbones()).toMatchObject([{ id: part.id, missingBytes: 0, request: null }]);
  });

  test('of an unknown family, or without room, is refused before a weight comes', async () => {
    const request = await open(new Map([...files, ['config.json', text({ model_type: 'mamba' })]]));
    const here = await browser('hub-refused');
    const { engine } = await here.tab();
    await expect(engine.loadFromHub(request)).rejects.toThrow(/'mamba' model, which is not supported/);
    expect(hub.requests).toHaveLength(2);
    await hub.close();
    const small = await open();
    const { engine: full } = await here.tab({
      storage: async () => ({ usedBytes: 0, quotaBytes: 1000, persisted: false }),
    });
    await expect(full.loadFromHub(small)).rejects.toThrow(/leaves 0.00 GB/);
    expect(await here.files.list('')).toEqual([]);
  });

  test('that lacks a tensor is refused by its name before its weights come', async () => {
    const whole = await readSafetensors(bytesSource(files.get('model.safetensors')!));
    const names = whole.names().filter((name) => !name.endsWith('layer.1.output.dense.weight'));
    const tensors = await Promise.all(
      names.map(async (name) => ({ name, shape: whole.info(name).shape, data: await whole.f32(name) })),
    );
    const request = await open(
      new Map([...files, ['model.safetensors', Uint8Array.from(writeSafetensors(tensors))]]),
    );
    const { engine } = await (await browser('hub-lacking')).tab();
    await expect(engine.loadFromHub(request)).rejects.toThrow(/no tensor ".*layer.1.output.dense.weight"/);
    expect(hub.of('model.safetensors')).toBe(1);
  });
});

describe('a dropped folder', () => {
  test('in shards, with a tokenizer beside it, is kept whole', async () => {
    const shard = 'model-00001-of-00001.safetensors';
    const whole = await readSafetensors(bytesSource(files.get('model.safetensors')!));
    const map = Object.fromEntries(whole.names().map((name) => [name, shard]));
    const tree = new Map([...files, ['model.safetensors.index.json', text({ weight_map: map })]]);
    tree.set(shard, files.get('model.safetensors')!);
    tree.delete('model.safetensors');
    tree.set('tokenizer.json', text({}));
    tree.set('notes.txt', text('not of the model'));
    const here = await browser('dropped-shards');
    const { engine } = await here.tab();
    expect(await engine.take(dropped(tree))).toMatchObject({ kind: 'backbone' });
    const kept = (await here.files.list('backbones/')).map((name) => name.split('/').at(-1)!);
    expect(kept.sort()).toEqual(
      [
        'config.json',
        shard,
        'model.safetensors.index.json',
        'preprocessor_config.json',
        'tokenizer.json',
      ].sort(),
    );
    expect(await engine.storedBackbones()).toMatchObject([{ source: 'your own files', missingBytes: 0 }]);
  });
});
