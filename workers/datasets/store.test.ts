import 'fake-indexeddb/auto';
import { readFileSync } from 'node:fs';
import { openDB } from 'idb';
import { describe, expect, test } from 'vitest';
import { bytesSource } from '../../models/checkpoints/bytes.ts';
import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { openFolder } from '../../models/checkpoints/folder.ts';
import { bytesEntry } from '../../models/data/entry.ts';
import { readLabelledFolder } from '../../models/data/folder.ts';
import { entries, pngStart } from '../../models/data/testing.ts';
import { openTokenizer } from '../../models/data/text/openTokenizer.ts';
import { openModel } from '../../models/open.ts';
import { StorageFullError } from '../session/ports.ts';
import { openRecords } from '../storage/records.ts';
import { type Reading, storedSamples } from './pictures.ts';
import { DatasetStore } from './store.ts';
import { textsIn } from './tables.ts';
import { lookAt, samplesOf } from './take.ts';
import { fakePool, importPaths, memoryStore, pathsOf } from './testing.ts';

/** A backbone of pictures or sounds; none of these tests reads its model. */
const reading = (preprocessor: JsonObject): Reading => ({
  preprocessor,
  model: undefined as unknown as Reading['model'],
  tokenizer: () => Promise.reject(new Error('It reads no texts.')),
});
const picture = new Blob([Uint8Array.from([...pngStart, 1, 2, 3])]);
const png = (name: string, n: number) => new File([Uint8Array.from([...pngStart, n])], name);

test('imports a folder: classes, split, what was left out by name, and pictures that come back', async () => {
  const { store, files } = await memoryStore();
  const view = await importPaths(store, [...pathsOf(['cat', 'dog'], 10), 'cat/damaged.png']);
  expect(view.classes.map(({ name }) => name)).toEqual(['cat', 'dog']);
  expect(view.counts).toEqual({ train: 12, val: 4, test: 4 });
  expect(view.rejected).toEqual([{ path: 'cat/damaged.png', reason: 'this PNG cannot be decoded' }]);
  const { rows, edited } = await store.open(view.id);
  const pictures = storedSamples(
    edited,
    rows,
    { files, pool: fakePool },
    reading({ image_processor_type: 'ViTImageProcessor' }),
  );
  expect(pictures.hash).toBe(view.hash);
  const [{ pixels }] = await pictures.load([3], 8, null);
  expect(pixels).toHaveLength(3 * 8 * 8);
  expect((await pictures.look(3)).image).toHaveProperty('type', 'image/png');
  expect(await files.list(`datasets/${view.id}/`)).toHaveLength(2);
});

describe('texts', () => {
  const never = new AbortController().signal;
  const csv = (text: string) => bytesEntry('mail/inbox.csv', new TextEncoder().encode(text));
  const rows =
    'subject,kind,from\nthe cat sleeps,animals,a\nour oven is hot,kitchen,b\nthe storm came,weather,b\n';
  const backbone = async (): Promise<Reading> => {
    const folder = 'tools/reference/fixtures/bert-words-tiny';
    const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
    const tree = new Map(
      names.map((name) => [name, bytesSource(new Uint8Array(readFileSync(`${folder}/${name}`)))]),
    );
    const model = openModel(await openFolder(tree));
    return { preprocessor: {}, model, tokenizer: async () => (await openTokenizer(tree))! };
  };
  const imported = async (text = rows) => {
    const made = await memoryStore();
    const texts = await textsIn([csv(text)]);
    const view = await made.store.import(texts.found, 'mail', never, () => undefined, undefined, texts);
    return { ...made, view };
  };

  test('of a table are kept with it, shown as words, and come back as tokens', async () => {
    const { store, files, view } = await imported();
    expect([view.kind, view.classes.map((c) => c.name)]).toEqual(['text', ['animals', 'kitchen', 'weather']]);
    expect(view.table).toMatchObject({
      columns: ['subject', 'kind', 'from'],
      chosen: { text: 'subject', pair: null, label: 'kind' },
      rows: [['the cat sleeps', 'animals', 'a'], {}, {}],
    });
    const [shown] = await store.thumbnails(view.id, 1, 0, 9);
    expect(shown).toMatchObject({ words: { text: 'our oven is hot', pair: null }, path: 'inbox.csv line 3' });
    const { rows: stored, edited } = await store.open(view.id);
    const dataset = storedSamples(edited, stored, { files, pool: fakePool }, await backbone());
    const [values] = await dataset.load([0], 8, null);
    expect(Object.keys(values)).toEqual(['ids', 'mask', 'types']);
    expect([...values.mask].filter(Boolean).length).toBeGreaterThan(4);
    expect((await dataset.look(0)).words?.text).toBe('the cat sleeps');
  });

  test('take the edits of any data set', async () => {
    const { store, view } = await imported();
    await store.edit(view.id, { kind: 'merge-classes', indices: [0, 2], name: 'outside' });
    const { classes } = await store.edit(view.id, { kind: 'rename-class', index: 1, name: 'inside' });
    expect(classes.map((c) => c.name).sort()).toEqual(['inside', 'outside']);
    expect((await store.undo(view.id)).classes.map((c) => c.name)).toContain('kitchen');
  });

  test('can be read anew by other columns', async () => {
    const { store, view } = await imported();
    const chosen = { text: 'subject', pair: 'kind', label: 'from' };
    const texts = await textsIn(await store.tableFiles(view.id), chosen);
    const again = await store.import(texts.found, 'mail', never, () => undefined, undefined, texts);
    expect(again.classes.map((c) => c.name)).toEqual(['a', 'b']);
    expect(await store.words(again.id, 0)).toEqual({ text: 'the cat sleeps', pair: 'animals' });
    expect(again.table?.chosen).toEqual(chosen);
  });

  test('a table that names pictures which were not dropped is told so', async () => {
    await expect(textsIn([csv('file_name,label\na.png,1\nb.jpg,2\n')])).rejects.toThrow(
      /not dropped with it/,
    );
  });
});

describe('sounds', () => {
  const wav = (n: number) => new TextEncoder().encode(`RIFF....WAVEfmt ${n}`);
  const found = () =>
    readLabelledFolder(
      entries(
        [1, 2, 3, 4, 5, 6].map((n) => [`${n % 2 ? 'a' : 'b'}/${n}.wav`, wav(n)] as [string, Uint8Array]),
      ),
    );

  test('are kept as they came, with their lengths, and come back as features', async () => {
    const { store, files } = await memoryStore();
    const view = await store.import(await found(), 'sounds', new AbortController().signal, () => undefined);
    expect(view.kind).toBe('audio');
    const [thumb] = await store.thumbnails(view.id, 0, 0, 1);
    expect(thumb.seconds).toBe(1.5);
    const played = await store.original(view.id, thumb.sample);
    expect(played.type).toBe('audio/wav');
    expect(new Uint8Array(await played.arrayBuffer())).toEqual(wav(1));
    const { rows, edited } = await store.open(view.id);
    const [{ mel }] = await storedSamples(edited, rows, { files, pool: fakePool }, reading({})).load(
      [0],
      2.5,
      null,
    );
    expect(mel).toHaveLength(250);
  });

  test('are added by the microphone, and pictures are not put among them', async () => {
    const { store } = await memoryStore();
    const { id, kind, name } = await store.addSample(null, 'clap', new Blob([wav(7)]));
    expect([kind, name]).toEqual(['audio', 'Captured sounds']);
    await expect(store.addSample(id, 'clap', picture)).rejects.toThrow('a picture, not a sound');
  });
});

test('records of an older page are of pictures', async () => {
  const name = 'test-older-records';
  const older = await openDB(name, 1, {
    upgrade: (db) => {
      for (const store of ['datasets', 'files', 'runs', 'backbones'])
        db.createObjectStore(store, { keyPath: 'id' });
    },
  });
  await older.put('datasets', { version: 1, id: 'd', name: 'old' });
  older.close();
  const db = await openRecords(name);
  expect(await db.get('datasets', 'd')).toEqual({ version: 2, id: 'd', name: 'old', kind: 'image' });
});

test('lists what another visit stored', async () => {
  const first = await memoryStore();
  const view = await importPaths(first.store, pathsOf(['a', 'b'], 5));
  const again = new DatasetStore(first);
  expect(await again.list()).toEqual([view]);
  const thumbs = await again.thumbnails(view.id, 1, 1, 3);
  expect(thumbs.map(({ path }) => path)).toEqual(['b/1.png', 'b/2.png', 'b/3.png']);
});

test('an import that is stopped keeps what it has', async () => {
  const stop = new AbortController();
  const { store } = await memoryStore({
    ...fakePool,
    inspect: async (read, path) => {
      if (path === 'b/2.png') stop.abort();
      return fakePool.inspect(read, path);
    },
  });
  const view = await importPaths(store, pathsOf(['a', 'b'], 30), stop.signal);
  const { train, val, test: held } = view.counts;
  expect(train + val + held).toBeLessThan(60);
  expect(view.notes.join()).toContain('stopped after');
});

test('an import without room leaves nothing behind', async () => {
  const { store, files, db } = await memoryStore();
  files.append = async () => {
    throw new StorageFullError('There is no room left.');
  };
  await expect(importPaths(store, pathsOf(['a', 'b'], 3))).rejects.toThrow(StorageFullError);
  expect(await files.list('')).toEqual([]);
  expect(await db.count('datasets')).toBe(0);
});

describe('edits', () => {
  test('change the hash, are undone, and are refused when they make no sense', async () => {
    const { store } = await memoryStore();
    const before = await importPaths(store, pathsOf(['a', 'b', 'c'], 10));
    const { id } = before;
    const merged = await store.edit(id, { kind: 'merge-classes', indices: [0, 2], name: 'ac' });
    expect(merged.classes.map(({ name }) => name)).toEqual(['ac', 'b']);
    expect(merged.hash).not.toBe(before.hash);
    await expect(store.edit(id, { kind: 'rename-class', index: 0, name: 'b' })).rejects.toThrow('already');
    await store.edit(id, { kind: 'set-split', val: 0.5, test: 0, seed: 2, fromFolders: true });
    expect((await store.view(id)).counts).toEqual({ train: 15, val: 15, test: 0 });
    await store.undo(id);
    expect(await store.undo(id)).toEqual(before);
    await expect(store.undo(id)).rejects.toThrow('no edit');
  });

  test('do not reach a run that began before them', async () => {
    const { store } = await memoryStore();
    const before = await importPaths(store, pathsOf(['a', 'b'], 10));
    const { record } = await store.open(before.id);
    await store.edit(before.id, { kind: 'drop-class', index: 0 });
    const then = await store.at(before.id, record.edits);
    expect(then.edited.hash).toBe(before.hash);
  });
});

describe('added pictures', () => {
  test('make data set and class, and undo takes them away', async () => {
    const { store } = await memoryStore();
    const one = await store.addSample(null, 'thumb up', picture);
    const two = await store.addSample(one.id, 'thumb up', picture);
    expect(two.classes).toEqual([{ index: 0, name: 'thumb up', counts: { train: 1, val: 1, test: 0 } }]);
    const three = await store.addSample(one.id, 'thumb down', picture);
    expect(three.classes).toHaveLength(2);
    expect((await store.undo(one.id)).classes[1].counts).toEqual({ train: 0, val: 0, test: 0 });
    await store.undo(one.id);
    expect((await store.undo(one.id)).hash).toBe(one.hash);
  });

  test('go to the class of that name as it stands after edits', async () => {
    const { store } = await memoryStore();
    const { id } = await importPaths(store, pathsOf(['a', 'b', 'c'], 10));
    await store.edit(id, { kind: 'drop-class', index: 0 });
    const view = await store.addSample(id, 'c', picture);
    const { train, val, test: held } = view.classes[1].counts;
    expect([view.classes[1].name, train + val + held]).toEqual(['c', 11]);
    const thumbs = await store.thumbnails(id, 1, 10, 1);
    expect(thumbs[0].path).toBe('c/added-0030.png');
  });

  test('are refused when they are no picture', async () => {
    const { store } = await memoryStore();
    await expect(store.addSample(null, 'x', new Blob(['GIF89a.......']))).rejects.toThrow('GIF');
  });
});

test('a removed data set comes back, until it is tidied away', async () => {
  const first = await memoryStore();
  const view = await importPaths(first.store, pathsOf(['a', 'b'], 5));
  await first.store.remove(view.id);
  expect(await first.store.list()).toEqual([]);
  await expect(first.store.view(view.id)).rejects.toThrow('not in this browser');
  expect(await first.store.restore(view.id)).toEqual(view);
  await first.store.remove(view.id);
  await first.files.append('datasets/never-ended/photos.0', new Uint8Array(3));
  const later = new DatasetStore({ ...first, now: () => 10_000_000 });
  await later.tidy(async () => true);
  expect(await first.files.list('')).toEqual([]);
  expect(await first.db.count('samples')).toBe(0);
});

describe('a drop', () => {
  test('is named after its folder', async () => {
    const drop = await lookAt([
      { path: 'pets/cat/1.png', file: png('1.png', 1) },
      { path: 'pets/dog/1.png', file: png('1.png', 2) },
    ]);
    expect([drop.name, drop.understanding.kind]).toEqual(['pets', 'images']);
    expect((await samplesOf(drop, () => undefined)).classes).toEqual(['cat', 'dog']);
  });
});
