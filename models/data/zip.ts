import { Inflate, strToU8, type Zippable, zipSync } from 'fflate';
import type { ByteSource } from '../checkpoints/bytes.ts';
import { type FileEntry, isJunk, type Rejected } from './entry.ts';
import { DataError, ZipError } from './errors.ts';
import { crc32, readDirectory, type ZipRecord } from './zipDirectory.ts';

/** What a zip may be before it is refused; counts are of bytes that come out, never of what a header claims. */
export interface ZipLimits {
  readonly entries: number;
  readonly entryBytes: number;
  readonly totalBytes: number;
  /** Largest ratio of unpacked to packed bytes for entries above 10 MB. */
  readonly ratio: number;
}

export const defaultZipLimits: ZipLimits = {
  entries: 100_000,
  entryBytes: 512 * 2 ** 20,
  totalBytes: 8 * 2 ** 30,
  ratio: 200,
};

const ratioFrom = 10_000_000;

export interface ZipContent {
  /** Files in the order of the zip's directory; each is unpacked when it is read, not before. */
  readonly entries: FileEntry[];
  readonly refused: Rejected[];
  /** Files that operating systems leave beside others, passed over. */
  readonly junk: number;
}

/**
 * Opens a zip by its central directory. Single files with unsafe paths, links, encryption or unknown compression
 * are refused by name; a zip above the limits, or whose directory is damaged, throws `ZipError`. Reading an entry
 * checks that its two headers agree, that exactly the promised bytes come out, and its checksum.
 */
export async function readZip(
  source: ByteSource,
  name: string,
  limits = defaultZipLimits,
): Promise<ZipContent> {
  const records = await readDirectory(source, name, limits.entries);
  const total = records.reduce((sum, record) => sum + record.size, 0);
  if (total > limits.totalBytes) {
    throw new ZipError(
      name,
      `it unpacks to ${gigabytes(total)}, above the ${gigabytes(limits.totalBytes)} that are taken at once; split it`,
    );
  }
  // Many names over the same packed bytes are how a small zip becomes a huge one.
  if (records.reduce((sum, record) => sum + record.packedSize, 0) > source.size) {
    throw new ZipError(name, 'its files overlap, which a sound zip never does; make it again');
  }
  const entries: FileEntry[] = [];
  const refused: Rejected[] = [];
  const seen = new Set<string>();
  let junk = 0;
  for (const record of records) {
    if (record.path.endsWith('/')) continue;
    if (isJunk(record.path)) {
      junk++;
      continue;
    }
    const reason =
      whyRefused(record, limits) ??
      (seen.has(record.path) ? 'the zip holds two files of this name' : undefined);
    seen.add(record.path);
    if (reason) refused.push({ path: record.path.replace(/[^\P{C}]/gu, '?'), reason });
    else entries.push(zipEntry(source, record));
  }
  return { entries, refused, junk };
}

function whyRefused(record: ZipRecord, limits: ZipLimits): string | undefined {
  const { path, size, packedSize } = record;
  const parts = path.split(/[/\\]/);
  if (parts.includes('..')) return 'its path leads out of the folder ("..")';
  if (/^[/\\]|^[a-z]:/i.test(path)) return 'its path is absolute';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  if (/[\x00-\x1f\x7f]/.test(path)) return 'its name has control characters';
  if (record.link) return 'it is a link, not a file';
  if (record.encrypted) return 'it is encrypted; unpack the zip with its password and drop the folder';
  if (record.method !== 0 && record.method !== 8)
    return `its compression (method ${record.method}) is not read; pack it with plain "deflate"`;
  if (/\.zip$/i.test(path)) return 'a zip within a zip is not opened; drop that zip by itself';
  if (size > limits.entryBytes)
    return `it unpacks to ${gigabytes(size)}, above the ${gigabytes(limits.entryBytes)} for one file`;
  if (size > ratioFrom && size > packedSize * limits.ratio)
    return `it unpacks to ${Math.round(size / packedSize)} times its packed size`;
  return undefined;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1)} GB`;
}

function zipEntry(source: ByteSource, record: ZipRecord): FileEntry {
  const { path, size } = record;
  return {
    path,
    size,
    lastModified: record.modified,
    bytes: async () => {
      const bytes = await unpack(source, record, size);
      if (crc32(bytes) !== record.crc)
        throw new DataError(
          path,
          'its checksum in the zip does not match; the zip is damaged, make it again',
        );
      return bytes;
    },
    head: (length) => unpack(source, record, Math.min(length, size)),
  };
}

/** Packed bytes are read in pieces of this size, so that an early stop reads little. */
const piece = 1 << 16;

/** The first `wanted` bytes of an entry; with `wanted` = its size, also a check that nothing more comes. */
async function unpack(source: ByteSource, record: ZipRecord, wanted: number): Promise<Uint8Array> {
  const begin = await record.dataBegin();
  const out = new Uint8Array(wanted);
  let filled = 0;
  const damaged = (what: string) => new DataError(record.path, `${what}; the zip is damaged, make it again`);
  const take = (chunk: Uint8Array) => {
    if (filled + chunk.length > record.size)
      throw damaged(`more comes out of the zip than the ${record.size} bytes promised`);
    out.set(chunk.subarray(0, wanted - filled), filled);
    filled = Math.min(wanted, filled + chunk.length);
  };
  const stopEarly = () => filled === wanted && wanted < record.size;
  const inflate = record.method === 8 ? new Inflate(take) : undefined;
  for (let at = 0; at < record.packedSize && !stopEarly(); at += piece) {
    const last = at + piece >= record.packedSize;
    const packed = await source.read(begin + at, begin + Math.min(at + piece, record.packedSize));
    if (!inflate) take(packed);
    else {
      try {
        inflate.push(packed, last);
      } catch (error) {
        throw error instanceof DataError
          ? error
          : damaged(`it cannot be unpacked (${(error as Error).message})`);
      }
    }
  }
  if (filled < wanted) throw damaged(`only ${filled} of ${wanted} bytes come out of the zip`);
  return out;
}

/**
 * A zip of the given files (path to bytes). Same files, same bytes: paths in the order given, every time stamp
 * 1 January 1980. Safetensors and pictures are stored, since they do not shrink; the rest is deflated.
 */
export function makeZip(files: ReadonlyMap<string, Uint8Array | string>): Uint8Array {
  const zippable: Zippable = {};
  for (const [path, content] of files) {
    const level = /\.(safetensors|png|jpe?g|webp|zip)$/i.test(path) ? 0 : 9;
    // The stamp is local time; built from local parts, it gives the same bytes in every time zone.
    const mtime = new Date(1980, 0, 1, 0, 0, 0);
    zippable[path] = [typeof content === 'string' ? strToU8(content) : content, { level, mtime }];
  }
  return zipSync(zippable);
}
