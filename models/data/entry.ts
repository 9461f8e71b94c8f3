import { type ByteSource, lazySource } from '../checkpoints/bytes.ts';

/** A file as it comes from a drop, a zip, a folder on disk or the page's own storage. */
export interface FileEntry {
  /** Path within what was dropped, `/` between parts. */
  readonly path: string;
  /** Bytes, as far as it is known before reading. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly lastModified?: number;
  bytes(): Promise<Uint8Array>;
  /** The first `length` bytes (fewer where the file is shorter), without reading the rest. */
  head?(length: number): Promise<Uint8Array>;
  /** Reading by range, where that is cheap. */
  readonly source?: ByteSource;
}

/** A file that was left out, and why, in a clause for a person. */
export interface Rejected {
  readonly path: string;
  readonly reason: string;
}

/** The first bytes of an entry, by the cheapest way it has. */
export async function headOf(entry: FileEntry, length: number): Promise<Uint8Array> {
  if (entry.head) return entry.head(length);
  if (entry.source) return entry.source.read(0, Math.min(length, entry.source.size));
  return (await entry.bytes()).subarray(0, length);
}

/** An entry as a source of ranges; one that can only be had whole is loaded once. */
export function sourceOf(entry: FileEntry): ByteSource {
  return entry.source ?? lazySource(entry.size, () => entry.bytes());
}

/** An entry over bytes in memory. */
export function bytesEntry(path: string, bytes: Uint8Array): FileEntry {
  return { path, size: bytes.length, bytes: async () => bytes };
}

/** An entry over a `File` or `Blob`; `path` is where it lay in the dropped folder. */
export function blobEntry(path: string, blob: Blob & { readonly lastModified?: number }): FileEntry {
  const read = async (begin: number, end: number) =>
    new Uint8Array(await blob.slice(begin, end).arrayBuffer());
  return {
    path,
    size: blob.size,
    lastModified: blob.lastModified,
    bytes: () => read(0, blob.size),
    source: { size: blob.size, read },
  };
}

/** Orders strings by code point, as Python's `sorted` does; `<` alone orders by UTF-16 units. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate stands for a code point above every unit that is none.
    const [highX, highY] = [isSurrogate(x), isSurrogate(y)];
    return highX === highY ? x - y : highX ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** A path with `/` between its parts and no leading `./`. */
export function normalPath(path: string): string {
  return path
    .replaceAll('\\', '/')
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

/** What operating systems leave beside files: dotfiles, `__MACOSX`, `Thumbs.db`, `desktop.ini`. */
export function isJunk(path: string): boolean {
  return path
    .split('/')
    .some(
      (part) =>
        (part.startsWith('.') && part !== '..') ||
        part === '__MACOSX' ||
        /^(thumbs\.db|desktop\.ini)$/i.test(part),
    );
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** What stands before the last part of a path; empty at the root. */
export function folderName(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
