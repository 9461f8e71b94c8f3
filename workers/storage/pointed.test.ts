import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Files, StorageFullError } from '../session/ports.ts';
import { NodeFiles } from './files.node.ts';
import { localExclusive, MemoryBlobs, MemoryFiles, MemoryPointers } from './memory.ts';
import { asStorageError, PointedFiles, same } from './pointed.ts';

const folder = await mkdtemp(join(tmpdir(), 'graft-files-'));
afterAll(() => rm(folder, { recursive: true }));

const bytes = (...values: number[]) => Uint8Array.from(values);

function pointed() {
  const blobs = new MemoryBlobs();
  const pointers = new MemoryPointers();
  let n = 0;
  const files = new PointedFiles(blobs, pointers, localExclusive(), () => `b${n++}`);
  return { blobs, pointers, files };
}

const kinds: [string, () => Files][] = [
  ['memory', () => new MemoryFiles()],
  ['pointed', () => pointed().files],
  ['node', () => new NodeFiles(folder)],
];

describe.each(kinds)('%s files', (_, make) => {
  test('keep, append, list and remove', async () => {
    const files = make();
    expect(await files.read('a/x')).toBeNull();
    expect(await files.size('a/x')).toBeNull();
    await files.write('a/x', bytes(1, 2, 3));
    await files.write('a/x', bytes(4, 5));
    await files.append('a/y', bytes(1, 2));
    await files.append('a/y', bytes(3, 4));
    await files.write('b', bytes());
    expect(await files.read('a/x')).toEqual(bytes(4, 5));
    expect([...(await files.readRange('a/y', 1, 3))]).toEqual([2, 3]);
    expect(await files.size('a/y')).toBe(4);
    expect(await files.list('a/')).toEqual(['a/x', 'a/y']);
    await expect(files.readRange('a/y', 1, 9)).rejects.toThrow();
    await files.remove('a/');
    expect(await files.list('')).toEqual(['b']);
    await files.remove('');
  });
});

describe('a write that fails', () => {
  const steps = ['create', 'read', 'put'] as const;
  test.each(steps)('at %s leaves the old content', async (step) => {
    const { blobs, pointers, files } = pointed();
    await files.write('x', bytes(1));
    const fail = (call: string) => {
      if (call === step) throw new Error('cut off');
    };
    blobs.fail = fail;
    pointers.fail = fail;
    await expect(files.write('x', bytes(2, 2))).rejects.toThrow('cut off');
    blobs.fail = pointers.fail = () => undefined;
    expect(await files.read('x')).toEqual(bytes(1));
  });

  test('in an append leaves what was counted, and the next append goes on from there', async () => {
    const { blobs, pointers, files } = pointed();
    await files.append('x', bytes(1, 2));
    pointers.fail = () => {
      throw new Error('cut off');
    };
    await expect(files.append('x', bytes(9, 9, 9))).rejects.toThrow('cut off');
    pointers.fail = () => undefined;
    expect(blobs.files.get('b0')).toHaveLength(5);
    expect(await files.read('x')).toEqual(bytes(1, 2));
    await files.append('x', bytes(3));
    expect(await files.read('x')).toEqual(bytes(1, 2, 3));
  });

  test('leaves files without a name, which a later sweep removes', async () => {
    const { blobs, pointers, files } = pointed();
    await files.write('x', bytes(1));
    pointers.fail = () => {
      throw new Error('cut off');
    };
    await expect(files.write('x', bytes(2))).rejects.toThrow();
    expect(blobs.files.size).toBe(2);
    expect(await files.sweep(60_000)).toBe(0);
    expect(await files.sweep(3_600_000)).toBe(1);
    expect(await files.read('x')).toEqual(bytes(1));
  });

  test('is told when the bytes do not come back the same', async () => {
    const { blobs, files } = pointed();
    const create = blobs.create.bind(blobs);
    blobs.create = (id, content) => create(id, content.with(0, 77));
    await expect(files.write('x', bytes(1, 2, 3))).rejects.toThrow('did not come back');
    expect(blobs.files.size).toBe(0);
  });
});

test('a full disk is told as one', () => {
  expect(asStorageError(new DOMException('no', 'QuotaExceededError'))).toBeInstanceOf(StorageFullError);
  expect(asStorageError(Object.assign(new Error('no'), { code: 'ENOSPC' }))).toBeInstanceOf(StorageFullError);
  const other = new Error('other');
  expect(asStorageError(other)).toBe(other);
});

test('same compares at any alignment', () => {
  const whole = Uint8Array.from({ length: 41 }, (_, i) => i);
  for (const offset of [0, 1, 2, 4]) {
    const a = whole.slice(offset);
    expect(same(a, whole.subarray(offset))).toBe(true);
    expect(same(a.with(a.length - 1, 99), whole.subarray(offset))).toBe(false);
    expect(same(a.with(0, 99), whole.subarray(offset))).toBe(false);
  }
  expect(same(bytes(1), bytes(1, 2))).toBe(false);
});
