import { Unzlib } from 'fflate';
import { layOnWhite, type Pixels } from './pixels.ts';
import { crc32 } from './zipDirectory.ts';

/**
 * PNG to 8-bit RGB (ISO/IEC 15948): every colour type and bit depth, Adam7 too. Palettes are looked up, grey of 1, 2
 * and 4 bits is scaled to 0..255, 16 bits keep their upper byte, alpha and transparent colours are laid on white. Equal
 * to Pillow, but for 16-bit grey, which Pillow's `convert('RGB')` clips at 255 instead of scaling.
 * Throws `Error` with what is wrong; the size is not judged here.
 */
export function decodePng(bytes: Uint8Array): Pixels {
  const { header, palette, transparent, data } = readChunks(bytes);
  const out = new Uint8Array(header.width * header.height * 4).fill(255);
  const place = placer(header, palette, transparent, out);
  let at = 0;
  for (const pass of header.interlaced ? adam7 : [whole]) {
    const width = Math.ceil((header.width - pass.x) / pass.dx);
    const height = Math.ceil((header.height - pass.y) / pass.dy);
    if (width <= 0 || height <= 0) continue;
    const stride = rowBytes(header, width);
    unfilter(data.subarray(at, at + height * (stride + 1)), height, stride, Math.max(1, header.bits >> 3));
    for (let row = 0; row < height; row++) {
      const line = data.subarray(at + row * (stride + 1) + 1, at + (row + 1) * (stride + 1));
      place(line, width, ((pass.y + row * pass.dy) * header.width + pass.x) * 4, pass.dx * 4);
    }
    at += height * (stride + 1);
  }
  return layOnWhite(header.width, header.height, out);
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: number;
  /** Bits a pixel. */
  readonly bits: number;
  readonly interlaced: boolean;
}

const whole = { x: 0, y: 0, dx: 1, dy: 1 };
const adam7 = [
  { x: 0, y: 0, dx: 8, dy: 8 },
  { x: 4, y: 0, dx: 8, dy: 8 },
  { x: 0, y: 4, dx: 4, dy: 8 },
  { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 },
  { x: 1, y: 0, dx: 2, dy: 2 },
  { x: 0, y: 1, dx: 1, dy: 2 },
];

/** Samples a pixel and allowed depths by colour type. */
const colours: Record<number, { channels: number; depths: number[] }> = {
  0: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] },
  3: { channels: 1, depths: [1, 2, 4, 8] },
  4: { channels: 2, depths: [8, 16] },
  6: { channels: 4, depths: [8, 16] },
};

function rowBytes(header: Header, width: number): number {
  return Math.ceil((width * header.bits) / 8);
}

function readHeader(chunk: Uint8Array): Header {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
  if (chunk.length !== 13) throw new Error('its header chunk has a wrong length');
  const [depth, colour, compression, filter, interlace] = chunk.subarray(8);
  const kind = colours[colour];
  if (!kind?.depths.includes(depth))
    throw new Error(`it has colour type ${colour} with ${depth} bits, which PNG does not know`);
  if (compression !== 0 || filter !== 0 || interlace > 1)
    throw new Error('it is packed in a way that PNG does not know');
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  if (width === 0 || height === 0) throw new Error('it has no pixels');
  return { width, height, depth, colour, bits: depth * kind.channels, interlaced: interlace === 1 };
}

/** Bytes of all rows with their filter bytes. */
function packedLength(header: Header): number {
  let total = 0;
  for (const pass of header.interlaced ? adam7 : [whole]) {
    const width = Math.ceil((header.width - pass.x) / pass.dx);
    const height = Math.ceil((header.height - pass.y) / pass.dy);
    if (width > 0 && height > 0) total += height * (rowBytes(header, width) + 1);
  }
  return total;
}

function readChunks(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let header: Header | undefined;
  let palette: Uint8Array | undefined;
  let transparent: Uint8Array | undefined;
  let data: Uint8Array | undefined;
  let filled = 0;
  const inflate = new Unzlib((chunk) => {
    // What comes beyond the last row is not asked for, so that no file unpacks to more than its own pixels.
    const part = chunk.subarray(0, data!.length - filled);
    data!.set(part, filled);
    filled += part.length;
  });
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > bytes.length) break;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const chunk = bytes.subarray(at + 8, end - 4);
    const critical = /^(IHDR|PLTE|IDAT|IEND)$/.test(type);
    if (critical && crc32(bytes.subarray(at + 4, end - 4)) !== view.getUint32(end - 4))
      throw new Error(`the checksum of its ${type} part does not match`);
    if (type === 'IHDR') header ??= readHeader(chunk);
    else if (!header) throw new Error('it does not begin with its header');
    else if (type === 'PLTE') palette = chunk;
    else if (type === 'tRNS') transparent = chunk;
    else if (type === 'IDAT') {
      data ??= new Uint8Array(packedLength(header));
      for (let part = 0; part < length && filled < data.length; part += 65536)
        inflate.push(chunk.subarray(part, part + 65536));
    } else if (type === 'IEND') break;
    at = end;
  }
  if (!header || !data || filled < data.length) throw new Error('it ends before its last row');
  if (header.colour === 3 && !palette) throw new Error('it has no palette');
  return { header, palette, transparent, data };
}

/** Undoes the row filters in place; each row begins with its filter's number. */
function unfilter(rows: Uint8Array, height: number, stride: number, pixel: number): void {
  for (let row = 0; row < height; row++) {
    const begin = row * (stride + 1) + 1;
    const above = begin - stride - 1;
    const filter = rows[begin - 1];
    if (filter > 4) throw new Error(`it uses row filter ${filter}, which PNG does not know`);
    if (filter === 0) continue;
    for (let i = 0; i < stride; i++) {
      const a = i >= pixel ? rows[begin + i - pixel] : 0;
      const b = row > 0 ? rows[above + i] : 0;
      if (filter === 1) rows[begin + i] += a;
      else if (filter === 2) rows[begin + i] += b;
      else if (filter === 3) rows[begin + i] += (a + b) >> 1;
      else rows[begin + i] += paeth(a, b, row > 0 && i >= pixel ? rows[above + i - pixel] : 0);
    }
  }
}

function paeth(a: number, b: number, c: number): number {
  const p = a + b - c;
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
  if (pa <= pb && pa <= pc) return a;
  return pb <= pc ? b : c;
}

type Place = (line: Uint8Array, width: number, to: number, step: number) => void;

/** Writes one unfiltered row into the RGBA picture (opaque so far), `step` bytes from pixel to pixel. */
function placer(
  header: Header,
  palette: Uint8Array | undefined,
  transparent: Uint8Array | undefined,
  out: Uint8Array,
): Place {
  const { depth, colour } = header;
  if (colour === 3) {
    const index = unpacker(depth);
    return (line, width, to, step) => {
      for (let x = 0, at = to; x < width; x++, at += step) {
        const i = index(line, x);
        for (let c = 0; c < 3; c++) out[at + c] = palette![i * 3 + c] ?? 0;
        out[at + 3] = transparent?.[i] ?? 255;
      }
    };
  }
  if (depth < 8) return placeSmallGrey(depth, transparent, out);
  const { channels } = colours[colour];
  const sample = depth >> 3;
  const green = channels > 2 ? sample : 0;
  const alpha = channels % 2 === 0 ? (channels - 1) * sample : -1;
  return (line, width, to, step) => {
    for (let x = 0, from = 0, at = to; x < width; x++, from += channels * sample, at += step) {
      out[at] = line[from];
      out[at + 1] = line[from + green];
      out[at + 2] = line[from + 2 * green];
      if (alpha >= 0) out[at + 3] = line[from + alpha];
      else if (transparent && isColour(line, from, channels, sample, transparent)) out[at + 3] = 0;
    }
  };
}

/** Reads the value at x of a row of values of `depth` bits, the first in the highest bits. */
function unpacker(depth: number): (line: Uint8Array, x: number) => number {
  if (depth === 8) return (line, x) => line[x];
  const mask = 2 ** depth - 1;
  return (line, x) => (line[(x * depth) >> 3] >> (8 - depth - ((x * depth) & 7))) & mask;
}

function placeSmallGrey(depth: number, transparent: Uint8Array | undefined, out: Uint8Array): Place {
  const value = unpacker(depth);
  const scale = 255 / (2 ** depth - 1);
  return (line, width, to, step) => {
    for (let x = 0, at = to; x < width; x++, at += step) {
      const v = value(line, x);
      out.fill(v * scale, at, at + 3);
      if (v === transparent?.[1]) out[at + 3] = 0;
    }
  };
}

/** True where a pixel is the one colour that a tRNS part (16 bits a channel) makes transparent. */
function isColour(
  line: Uint8Array,
  from: number,
  channels: number,
  sample: number,
  transparent: Uint8Array,
): boolean {
  for (let c = 0; c < channels; c++) {
    if (line[from + c * sample + sample - 1] !== transparent[2 * c + 1]) return false;
    if (sample === 2 && line[from + c * 2] !== transparent[2 * c]) return false;
  }
  return true;
}
