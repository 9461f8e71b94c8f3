import { asStorageError, type Blobs } from './pointed.ts';

/**
 * Raw files in the origin private file system, one folder, by synchronous access handles: these exist in dedicated
 * workers only, lock their file, and alone can be flushed. Reads go through `getFile`, which takes no lock, so that
 * a second tab may look on.
 */
export class OpfsBlobs implements Blobs {
  readonly #folder: FileSystemDirectoryHandle;

  private constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  static async open(): Promise<OpfsBlobs> {
    const root = await navigator.storage.getDirectory();
    return new OpfsBlobs(await root.getDirectoryHandle('files', { create: true }));
  }

  create(id: string, bytes: Uint8Array): Promise<void> {
    return this.writeAt(id, 0, bytes);
  }

  async writeAt(id: string, offset: number, bytes: Uint8Array): Promise<void> {
    try {
      const file = await this.#folder.getFileHandle(id, { create: true });
      const handle = await lockedHandle(file);
      try {
        handle.truncate(offset);
        const written = handle.write(bytes as BufferSource, { at: offset });
        if (written !== bytes.length)
          throw new DOMException(`${written} of ${bytes.length} bytes fit.`, 'QuotaExceededError');
        handle.flush();
      } finally {
        handle.close();
      }
    } catch (error) {
      throw asStorageError(error);
    }
  }

  async read(id: string, begin: number, end: number): Promise<Uint8Array | null> {
    const file = await this.#file(id);
    return file && new Uint8Array(await file.slice(begin, end).arrayBuffer());
  }

  async size(id: string): Promise<number | null> {
    return (await this.#file(id))?.size ?? null;
  }

  async remove(id: string): Promise<void> {
    try {
      await this.#folder.removeEntry(id);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async list(): Promise<{ id: string; changed: number }[]> {
    const found: { id: string; changed: number }[] = [];
    for await (const [id, handle] of this.#folder.entries()) {
      if (handle.kind !== 'file') continue;
      const file = await (handle as FileSystemFileHandle).getFile();
      found.push({ id, changed: file.lastModified });
    }
    return found;
  }

  async #file(id: string): Promise<File | null> {
    try {
      return await (await this.#folder.getFileHandle(id)).getFile();
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }
}

function isMissing(error: unknown): boolean {
  return (error as DOMException)?.name === 'NotFoundError';
}

/** Another tab may hold the file for a moment; a second of patience covers any single write. */
async function lockedHandle(file: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await file.createSyncAccessHandle();
    } catch (error) {
      if ((error as DOMException)?.name !== 'NoModificationAllowedError' || attempt === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
