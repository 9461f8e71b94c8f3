/** Bytes that can be read by range, so that a file of gigabytes is never held whole. */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /** Bytes `begin` (included) to `end` (excluded). The result may share memory with the source: do not write to it. */
  read(begin: number, end: number): Promise<Uint8Array>;
}

/** A source over bytes already in memory; reads are views, not copies. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (begin, end) => bytes.subarray(begin, end) };
}

/** A source over a `Blob` or a dropped `File`; only the ranges asked for are read. */
export function blobSource(blob: Blob): ByteSource {
  return {
    size: blob.size,
    read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
  };
}

/** A source over something that can only be had whole: loaded at the first read and kept. */
export function lazySource(size: number, load: () => Promise<Uint8Array>): ByteSource {
  let loaded: Promise<Uint8Array> | undefined;
  return {
    size,
    read: async (begin, end) => {
      loaded ??= load();
      return (await loaded).subarray(begin, end);
    },
  };
}

/** Sources one after another as one. */
export function concatenated(parts: readonly ByteSource[]): ByteSource {
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  return {
    size,
    async read(begin, end) {
      const out = new Uint8Array(end - begin);
      let at = 0;
      for (const part of parts) {
        const from = Math.max(begin, at);
        const to = Math.min(end, at + part.size);
        if (from < to) out.set(await part.read(from - at, to - at), from - begin);
        at += part.size;
      }
      return out;
    },
  };
}
