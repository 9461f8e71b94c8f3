import type { FileEntry } from '../../models/data/entry.ts';
import { DecodeError } from '../../models/data/errors.ts';
import { readLabelledFolder } from '../../models/data/folder.ts';
import { entries, pngStart } from '../../models/data/testing.ts';
import { localExclusive, MemoryFiles } from '../storage/memory.ts';
import { openRecords } from '../storage/records.ts';
import type { Pool } from './jobs.ts';
import { DatasetStore } from './store.ts';

/** Stands in for the data workers: takes any picture but those whose path says `damaged`; pixels tell the path's length. */
export const fakePool: Pool = {
  size: 2,
  async inspect(read, path) {
    if (path.includes('damaged')) throw new DecodeError(path, 'this PNG cannot be decoded');
    const found = { bytes: await read(), thumbnail: pngStart };
    return path.endsWith('.wav') || path === 'The sound' ? { ...found, seconds: 1.5 } : found;
  },
  async load(read, _, want) {
    const length = want.kind === 'audio' ? want.frames : 3 * want.side * want.side;
    return new Float32Array(length).fill((await read()).at(-1)!);
  },
};

/** Pictures of the given paths, each with bytes of its own. */
export function pictureEntries(paths: readonly string[]): FileEntry[] {
  return entries(paths.map((path, i) => [path, Uint8Array.from([...pngStart, i & 255, i >> 8])]));
}

let databases = 0;

/** A data set store over memory. */
export async function memoryStore(pool: Pool = fakePool) {
  const db = await openRecords(`test-datasets-${databases++}`);
  const files = new MemoryFiles();
  let ids = 0;
  const ports = {
    db,
    files,
    pool,
    exclusive: localExclusive(),
    now: () => 1_000_000,
    newId: () => `d${ids++}`,
  };
  return { ...ports, store: new DatasetStore(ports) };
}

export async function importPaths(
  store: DatasetStore,
  paths: readonly string[],
  signal = new AbortController().signal,
) {
  const found = await readLabelledFolder(pictureEntries(paths));
  return store.import(found, 'test', signal, () => undefined);
}

/** `count` paths in each class. */
export function pathsOf(classes: readonly string[], count: number): string[] {
  return classes.flatMap((name) => Array.from({ length: count }, (_, i) => `${name}/${i}.png`));
}
