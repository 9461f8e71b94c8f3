import type { ByteSource } from '../checkpoints/bytes.ts';
import { ZipError } from './errors.ts';

/** One entry of a zip's central directory. */
export interface ZipRecord {
  readonly path: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly link: boolean;
  readonly crc: number;
  readonly packedSize: number;
  readonly size: number;
  /** Milliseconds since 1970, from the entry's local-time stamp. */
  readonly modified: number;
  /** Where its data begins; checks that the local header says the same as the directory. Throws `ZipError`. */
  dataBegin(): Promise<number>;
}

const endSize = 22;
const maxComment = 65535;
const maxDirectory = 256 * 2 ** 20;

/** Reads the central directory (zip64 too; no multi-volume zips). Throws `ZipError` for a damaged or too long one. */
export async function readDirectory(
  source: ByteSource,
  name: string,
  maxEntries: number,
): Promise<ZipRecord[]> {
  const damaged = (what: string): never => {
    throw new ZipError(name, `${what}; the zip is damaged or cut short, make or fetch it again`);
  };
  const { count, begin, size } = await findDirectory(source, damaged);
  if (count > maxEntries)
    throw new ZipError(
      name,
      `it holds ${count} files, above the ${maxEntries} that are taken at once; split it`,
    );
  if (size > maxDirectory || begin + size > source.size) damaged('its directory does not fit the file');
  const bytes = await source.read(begin, begin + size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: ZipRecord[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== 0x02014b50)
      damaged('its directory breaks off');
    const lengths = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const end = at + 46 + lengths[0] + lengths[1] + lengths[2];
    if (end > bytes.length) damaged('its directory breaks off');
    records.push(readRecord(source, name, bytes.subarray(at, end), lengths, damaged));
    at = end;
  }
  return records;
}

type Damaged = (what: string) => never;

async function findDirectory(source: ByteSource, damaged: Damaged) {
  const tailBegin = Math.max(0, source.size - endSize - maxComment);
  const tail = await source.read(tailBegin, source.size);
  const view = new DataView(tail.buffer, tail.byteOffset, tail.length);
  for (let at = tail.length - endSize; at >= 0; at--) {
    if (view.getUint32(at, true) !== 0x06054b50) continue;
    if (at + endSize + view.getUint16(at + 20, true) !== tail.length) continue;
    const count = view.getUint16(at + 10, true);
    const size = view.getUint32(at + 12, true);
    const begin = view.getUint32(at + 16, true);
    if (count !== 0xffff && size !== 0xffffffff && begin !== 0xffffffff) return { count, size, begin };
    return findDirectory64(source, tailBegin + at - 20, damaged);
  }
  return damaged('it has no directory at its end');
}

async function findDirectory64(source: ByteSource, locator: number, damaged: Damaged) {
  if (locator < 0) damaged('its 64-bit directory is missing');
  const first = await source.read(locator, locator + 20);
  const locatorView = new DataView(first.buffer, first.byteOffset, first.length);
  if (locatorView.getUint32(0, true) !== 0x07064b50) damaged('its 64-bit directory is missing');
  const at = Number(locatorView.getBigUint64(8, true));
  if (at + 56 > source.size) damaged('its 64-bit directory is missing');
  const record = await source.read(at, at + 56);
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  if (view.getUint32(0, true) !== 0x06064b50) damaged('its 64-bit directory is missing');
  const [count, size, begin] = [32, 40, 48].map((offset) => Number(view.getBigUint64(offset, true)));
  return { count, size, begin };
}

/** Fields that are all ones stand, in this order, in extra field 1. */
function readLarge(
  bytes: Uint8Array,
  view: DataView,
  extraBegin: number,
  extraEnd: number,
  fields: number[],
  damaged: Damaged,
) {
  if (!fields.includes(0xffffffff)) return fields;
  for (let at = extraBegin; at + 4 <= extraEnd; ) {
    const id = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    let value = at + 4;
    const end = value + length;
    at = end;
    if (id !== 1 || end > extraEnd || end > bytes.length) continue;
    return fields.map((field) => {
      if (field !== 0xffffffff) return field;
      if (value + 8 > end) damaged('a 64-bit size is missing');
      const large = Number(view.getBigUint64(value, true));
      value += 8;
      return large;
    });
  }
  return damaged('a 64-bit size is missing');
}

function readRecord(
  source: ByteSource,
  zip: string,
  bytes: Uint8Array,
  [nameLength, extraLength]: number[],
  damaged: Damaged,
): ZipRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint16(8, true);
  const rawName = bytes.slice(46, 46 + nameLength);
  const extra = 46 + nameLength;
  const small = [24, 20, 42].map((offset) => view.getUint32(offset, true));
  const [size, packedSize, header] = readLarge(bytes, view, extra, extra + extraLength, small, damaged);
  const madeBy = view.getUint16(4, true) >> 8;
  const mode = view.getUint32(38, true) >>> 16;
  const method = view.getUint16(10, true);
  return {
    path: decodeName(rawName),
    method,
    encrypted: (flags & 1) !== 0,
    // Unix (3) and macOS (19) keep the file's type in the upper half; 0o120000 is a symbolic link.
    link: (madeBy === 3 || madeBy === 19) && (mode & 0o170000) === 0o120000,
    crc: view.getUint32(16, true),
    packedSize,
    size,
    modified: dosTime(view.getUint16(14, true), view.getUint16(12, true)),
    dataBegin: async () => {
      const where = decodeName(rawName);
      const disagree = (what: string) =>
        new ZipError(
          zip,
          `"${where}" is described in two ways (${what}), which a sound zip never does; make it again`,
        );
      if (header + 30 > source.size) throw disagree('its header lies outside the file');
      const local = await source.read(header, Math.min(source.size, header + 30 + nameLength));
      const localView = new DataView(local.buffer, local.byteOffset, local.length);
      if (localView.getUint32(0, true) !== 0x04034b50) throw disagree('no header where the directory points');
      if (localView.getUint16(8, true) !== method) throw disagree('compression');
      if (localView.getUint16(26, true) !== nameLength || !rawName.every((byte, i) => local[30 + i] === byte))
        throw disagree('name');
      const localSize = localView.getUint32(22, true);
      const streamed = (localView.getUint16(6, true) & 8) !== 0;
      if (!streamed && localSize !== 0xffffffff && localSize !== size) throw disagree('size');
      const begin = header + 30 + nameLength + localView.getUint16(28, true);
      if (begin + packedSize > source.size) throw disagree('its data lies outside the file');
      return begin;
    },
  };
}

/** Names are UTF-8 by flag, and in practice without it; what is not UTF-8 is read byte by byte. */
function decodeName(raw: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(raw);
  } catch {
    return String.fromCharCode(...raw);
  }
}

function dosTime(date: number, time: number): number {
  return new Date(
    (date >> 9) + 1980,
    ((date >> 5) & 15) - 1,
    date & 31,
    time >> 11,
    (time >> 5) & 63,
    (time & 31) * 2,
  ).getTime();
}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c >>> 0;
});

/** CRC-32 of zip and PNG. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
