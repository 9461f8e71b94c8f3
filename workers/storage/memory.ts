import type { Files } from '../session/ports.ts';
import type { Blobs, Exclusive, Pointer, Pointers } from './pointed.ts';

/** `Files` in memory: for tests, and for a browser whose storage is closed to the page (private windows). */
export class MemoryFiles implements Files {
  readonly #files = new Map<string, Uint8Array>();

  async read(name: string): Promise<Uint8Array | null> {
    return this.#files.get(name)?.slice() ?? null;
  }

  async readRange(name: string, begin: number, end: number): Promise<Uint8Array> {
    const bytes = this.#files.get(name);
    if (!bytes || end > bytes.length)
      throw new RangeError(`"${name}" has ${bytes?.length ?? 0} bytes; ${begin} to ${end} were asked for.`);
    return bytes.slice(begin, end);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(name, bytes.slice());
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    const old = this.#files.get(name) ?? new Uint8Array();
    const joined = new Uint8Array(old.length + bytes.length);
    joined.set(old);
    joined.set(bytes, old.length);
    this.#files.set(name, joined);
  }

  async size(name: string): Promise<number | null> {
    return this.#files.get(name)?.length ?? null;
  }

  async list(prefix: string): Promise<string[]> {
    return [...this.#files.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  async total(): Promise<number> {
    return [...this.#files.values()].reduce((sum, { length }) => sum + length, 0);
  }

  async remove(prefix: string): Promise<void> {
    for (const name of await this.list(prefix)) this.#files.delete(name);
  }
}

/** Raw files in memory. `fail` is asked before each call and may throw: a crash, a full disk. */
export class MemoryBlobs implements Blobs {
  readonly files = new Map<string, Uint8Array>();
  changed = 0;
  fail: (call: string, id: string) => void = () => undefined;

  async create(id: string, bytes: Uint8Array): Promise<void> {
    this.fail('create', id);
    this.files.set(id, bytes.slice());
  }

  async writeAt(id: string, offset: number, bytes: Uint8Array): Promise<void> {
    this.fail('writeAt', id);
    const next = new Uint8Array(offset + bytes.length);
    next.set(this.files.get(id)!.subarray(0, offset));
    next.set(bytes, offset);
    this.files.set(id, next);
  }

  async read(id: string, begin: number, end: number): Promise<Uint8Array | null> {
    this.fail('read', id);
    return this.files.get(id)?.slice(begin, end) ?? null;
  }

  async size(id: string): Promise<number | null> {
    return this.files.get(id)?.length ?? null;
  }

  async remove(id: string): Promise<void> {
    this.fail('remove', id);
    this.files.delete(id);
  }

  async list(): Promise<{ id: string; changed: number }[]> {
    return [...this.files.keys()].map((id) => ({ id, changed: this.changed }));
  }
}

/** Pointers in memory. */
export class MemoryPointers implements Pointers {
  readonly #pointers = new Map<string, Pointer>();
  fail: (call: string) => void = () => undefined;

  async get(name: string): Promise<Pointer | undefined> {
    return this.#pointers.get(name);
  }

  async put(pointer: Pointer): Promise<void> {
    this.fail('put');
    this.#pointers.set(pointer.name, pointer);
  }

  async list(prefix: string): Promise<Pointer[]> {
    return [...this.#pointers.values()].filter(({ name }) => name.startsWith(prefix));
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) this.#pointers.delete(name);
  }
}

/** One after another per name, within this thread. */
export function localExclusive(): Exclusive {
  const tails = new Map<string, Promise<unknown>>();
  return (name, work) => {
    const mine = (tails.get(name) ?? Promise.resolve()).then(work);
    // The next in line waits for this one's end, however it ends.
    const tail = mine.then(
      () => undefined,
      () => undefined,
    );
    tails.set(name, tail);
    return mine;
  };
}
