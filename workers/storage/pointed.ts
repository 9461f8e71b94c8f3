import { type Files, StorageFullError } from '../session/ports.ts';

/** Raw files under ids: what a file system gives, before names and atomic writes. */
export interface Blobs {
  /** Writes a new file whole and flushes it to the disk. Throws `StorageFullError`. */
  create(id: string, bytes: Uint8Array): Promise<void>;
  /** Writes `bytes` at `offset`, cuts off what lay behind, flushes. Throws `StorageFullError`. */
  writeAt(id: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** Null where there is no such file; a range past the end gives what there is. */
  read(id: string, begin: number, end: number): Promise<Uint8Array | null>;
  size(id: string): Promise<number | null>;
  remove(id: string): Promise<void>;
  /** All files with the time of their last change, milliseconds since 1970. */
  list(): Promise<{ id: string; changed: number }[]>;
}

/** Which raw file holds a name's bytes. */
export interface Pointer {
  readonly name: string;
  readonly blob: string;
  /** Bytes that count; an append that never ended leaves more in the file. */
  readonly length: number;
}

/** Pointers, each change of which is on the disk when its promise resolves. */
export interface Pointers {
  get(name: string): Promise<Pointer | undefined>;
  put(pointer: Pointer): Promise<void>;
  list(prefix: string): Promise<Pointer[]>;
  remove(names: readonly string[]): Promise<void>;
}

/** Bytes that were written and did not come back the same. */
export class StorageDamagedError extends Error {
  override name = 'StorageDamagedError';
  readonly advice = 'Check the disk, then try again. What was stored before is unchanged.';
}

/** No name can be older than this without a pointer: a write takes seconds. */
const orphanAge = 10 * 60_000;

/**
 * `Files` over raw files and pointers. A write makes a new raw file, flushes it, reads it back, and only then moves
 * the pointer; the old file goes last. A crash at any moment leaves the old content or the new, and at worst a raw
 * file without a name, which `sweep` removes.
 */
export class PointedFiles implements Files {
  readonly #blobs: Blobs;
  readonly #pointers: Pointers;
  readonly #exclusive: Exclusive;
  readonly #newId: () => string;

  constructor(blobs: Blobs, pointers: Pointers, exclusive: Exclusive, newId: () => string = randomId) {
    this.#blobs = blobs;
    this.#pointers = pointers;
    this.#exclusive = exclusive;
    this.#newId = newId;
  }

  async read(name: string): Promise<Uint8Array | null> {
    // Between the pointer and the bytes another writer may have replaced the file: ask once more.
    for (let attempt = 0; ; attempt++) {
      const pointer = await this.#pointers.get(name);
      if (!pointer) return null;
      const bytes = await this.#blobs.read(pointer.blob, 0, pointer.length);
      if (bytes?.length === pointer.length) return bytes;
      if (attempt === 1) throw lost(name, bytes?.length ?? 0, pointer.length);
    }
  }

  async readRange(name: string, begin: number, end: number): Promise<Uint8Array> {
    for (let attempt = 0; ; attempt++) {
      const pointer = await this.#pointers.get(name);
      if (!pointer || end > pointer.length) throw lost(name, pointer?.length ?? 0, end);
      const bytes = await this.#blobs.read(pointer.blob, begin, end);
      if (bytes?.length === end - begin) return bytes;
      if (attempt === 1) throw lost(name, begin + (bytes?.length ?? 0), end);
    }
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const blob = this.#newId();
    try {
      await this.#blobs.create(blob, bytes);
      await this.#verify(name, blob, 0, bytes);
    } catch (error) {
      await this.#discard(blob);
      throw error;
    }
    await this.#exclusive(`file:${name}`, async () => {
      const old = await this.#pointers.get(name);
      await this.#pointers.put({ name, blob, length: bytes.length });
      if (old) await this.#discard(old.blob);
    });
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    await this.#exclusive(`file:${name}`, async () => {
      const old = await this.#pointers.get(name);
      const blob = old?.blob ?? this.#newId();
      const length = old?.length ?? 0;
      // What an unfinished append left behind the counted length is written over.
      if (old) await this.#blobs.writeAt(blob, length, bytes);
      else await this.#blobs.create(blob, bytes);
      await this.#verify(name, blob, length, bytes);
      await this.#pointers.put({ name, blob, length: length + bytes.length });
    });
  }

  async size(name: string): Promise<number | null> {
    return (await this.#pointers.get(name))?.length ?? null;
  }

  async list(prefix: string): Promise<string[]> {
    return (await this.#pointers.list(prefix)).map(({ name }) => name);
  }

  async remove(prefix: string): Promise<void> {
    const pointers = await this.#pointers.list(prefix);
    await this.#pointers.remove(pointers.map(({ name }) => name));
    for (const { blob } of pointers) await this.#discard(blob);
  }

  /** Bytes under all names. */
  async total(): Promise<number> {
    return (await this.#pointers.list('')).reduce((sum, { length }) => sum + length, 0);
  }

  /** Removes raw files that no name points to: what interrupted writes left. Returns how many. */
  async sweep(now: number): Promise<number> {
    // Files first, pointers second: a name made in between is then seen.
    const old = (await this.#blobs.list()).filter(({ changed }) => now - changed > orphanAge);
    const named = new Set((await this.#pointers.list('')).map(({ blob }) => blob));
    const orphans = old.filter(({ id }) => !named.has(id));
    for (const { id } of orphans) await this.#blobs.remove(id);
    return orphans.length;
  }

  /** Removes a file that nothing needs any more; one that another tab holds open stays for `sweep`. */
  async #discard(blob: string): Promise<void> {
    await this.#blobs.remove(blob).catch(() => undefined);
  }

  async #verify(name: string, blob: string, begin: number, bytes: Uint8Array): Promise<void> {
    const back = await this.#blobs.read(blob, begin, begin + bytes.length);
    if (!back || !same(back, bytes))
      throw new StorageDamagedError(`"${name}" was written and did not come back from the disk the same.`);
  }
}

/** Runs `work` while nothing else runs under that name, in this tab or another. */
export type Exclusive = <T>(name: string, work: () => Promise<T>) => Promise<T>;

function lost(name: string, have: number, want: number): StorageDamagedError {
  return new StorageDamagedError(
    `"${name}" has ${have} of the ${want} bytes that are wanted of it. The browser may have cleared this site's storage.`,
  );
}

function randomId(): string {
  return crypto.randomUUID();
}

/** Whether two arrays hold the same bytes. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // Compared as 32-bit words where both are aligned, which is where the time goes.
  const words = a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0 ? a.length >> 2 : 0;
  const [x, y] = [a, b].map((bytes) => new Int32Array(bytes.buffer, words ? bytes.byteOffset : 0, words));
  for (let i = 0; i < words; i++) if (x[i] !== y[i]) return false;
  for (let i = words * 4; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A failed write as `StorageFullError` where the reason is room; other errors as they are. */
export function asStorageError(error: unknown): unknown {
  const name = (error as { name?: string })?.name;
  const code = (error as { code?: string })?.code;
  if (name === 'QuotaExceededError' || code === 'ENOSPC' || code === 'EDQUOT')
    return new StorageFullError('There is no room left to store this.', { cause: error });
  return error;
}
