import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { Files } from '../session/ports.ts';
import { asStorageError } from './pointed.ts';

const unfinished = '.part';

/** `Files` in a folder on disk, for tools: a name is a path within it. Writes go to a new file that is renamed. */
export class NodeFiles implements Files {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async read(name: string): Promise<Uint8Array | null> {
    const buffer = await orNull(readFile(this.#path(name)));
    return buffer && new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  }

  async readRange(name: string, begin: number, end: number): Promise<Uint8Array> {
    const file = await open(this.#path(name));
    try {
      const bytes = new Uint8Array(end - begin);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, begin);
      if (bytesRead !== bytes.length)
        throw new RangeError(`"${name}" ends before byte ${end}: ${begin + bytesRead} were found.`);
      return bytes;
    } finally {
      await file.close();
    }
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(name);
    const part = `${path}.${randomUUID()}${unfinished}`;
    try {
      await mkdir(dirname(path), { recursive: true });
      await put(part, 'wx', bytes);
      await rename(part, path);
      await flushFolder(dirname(path));
    } catch (error) {
      await rm(part, { force: true });
      throw asStorageError(error);
    }
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(name);
    try {
      await mkdir(dirname(path), { recursive: true });
      await put(path, 'a', bytes);
    } catch (error) {
      throw asStorageError(error);
    }
  }

  async size(name: string): Promise<number | null> {
    return (await orNull(stat(this.#path(name))))?.size ?? null;
  }

  async list(prefix: string): Promise<string[]> {
    const found = await orNull(readdir(this.#root, { recursive: true, withFileTypes: true }));
    return (found ?? [])
      .filter((entry) => entry.isFile() && !entry.name.endsWith(unfinished))
      .map((entry) => relative(this.#root, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
      .filter((name) => name.startsWith(prefix))
      .sort();
  }

  async remove(prefix: string): Promise<void> {
    for (const name of await this.list(prefix)) await rm(this.#path(name), { force: true });
  }

  #path(name: string): string {
    if (name.split('/').some((part) => part === '' || part === '.' || part === '..'))
      throw new RangeError(`"${name}" is no name for a stored file.`);
    return join(this.#root, name);
  }
}

async function put(path: string, flags: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is on the disk once its folder is; not every system lets a folder be opened. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path).catch(() => null);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
