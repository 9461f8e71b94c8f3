import { DecodeError } from '../errors.ts';
import type { Sound } from './sound.ts';

/** Format codes of the `fmt ` chunk that are read; `extensible` keeps the real one in its sub-format. */
const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

const others = new Map([
  [2, 'ADPCM'],
  [6, 'A-law'],
  [7, 'µ-law'],
  [0x11, 'IMA ADPCM'],
  [0x55, 'MP3'],
]);

interface Format {
  code: number;
  channels: number;
  rate: number;
  bits: number;
}

type ReadSample = (view: DataView, at: number) => number;

/** Samples by format and bits, scaled as libsndfile does: the most negative integer is -1. */
const readers: Record<string, ReadSample> = {
  'integer 8': (view, at) => (view.getUint8(at) - 128) / 128,
  'integer 16': (view, at) => view.getInt16(at, true) / 2 ** 15,
  'integer 24': (view, at) => ((view.getInt16(at + 1, true) << 8) | view.getUint8(at)) / 2 ** 23,
  'integer 32': (view, at) => view.getInt32(at, true) / 2 ** 31,
  'float 32': (view, at) => view.getFloat32(at, true),
  'float 64': (view, at) => view.getFloat64(at, true),
};

/**
 * Decodes RIFF WAVE: integers of 8, 16, 24 and 32 bits, floats of 32 and 64, any number of channels, plain or
 * extensible. A data chunk without a length, as streams write it, reaches to the end of the file; one that is longer
 * than the file is refused, since a part of the sound is missing. `path` names the file in errors. Throws
 * `DecodeError`.
 */
export function decodeWav(bytes: Uint8Array, path: string): Sound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { format, begin, end } = readChunks(view, path);
  const { channels, rate, bits } = format;
  const read = readers[`${format.code === FLOAT ? 'float' : 'integer'} ${bits}`];
  if (!read) throw new DecodeError(path, `it has samples of ${bits} bits; save it with 16, 24 or 32`);
  const width = bits / 8;
  const length = Math.floor((end - begin) / (width * channels));
  const result = Array.from({ length: channels }, () => new Float32Array(length));
  for (let i = 0, at = begin; i < length; i++)
    for (let c = 0; c < channels; c++, at += width) result[c][i] = read(view, at);
  return { rate, channels: result };
}

function readChunks(view: DataView, path: string): { format: Format; begin: number; end: number } {
  let format: Format | undefined;
  for (let at = 12; at + 8 <= view.byteLength; ) {
    const name = nameAt(view, at);
    const size = view.getUint32(at + 4, true);
    const begin = at + 8;
    if (name === 'fmt ') format = readFormat(view, begin, size, path);
    if (name === 'data') {
      if (!format) throw new DecodeError(path, 'its sound comes before its format; save it again');
      const streamed = size === 0xffffffff || (size === 0 && begin < view.byteLength);
      if (!streamed && begin + size > view.byteLength)
        throw new DecodeError(
          path,
          `it is cut off: ${view.byteLength - begin} of ${size} bytes of sound are there; copy it again`,
        );
      return { format, begin, end: streamed ? view.byteLength : begin + size };
    }
    at = begin + size + (size & 1);
  }
  throw new DecodeError(path, 'no sound was found in this WAV file; it is damaged or cut off');
}

function readFormat(view: DataView, begin: number, size: number, path: string): Format {
  if (size < 16 || begin + size > view.byteLength)
    throw new DecodeError(path, 'its WAV header is damaged; save it again');
  let code = view.getUint16(begin, true);
  if (code === EXTENSIBLE && size >= 26) code = view.getUint16(begin + 24, true);
  const channels = view.getUint16(begin + 2, true);
  const rate = view.getUint32(begin + 4, true);
  const bits = view.getUint16(begin + 14, true);
  if (code !== PCM && code !== FLOAT)
    throw new DecodeError(
      path,
      `its samples are ${others.get(code) ?? `of format ${code}`}, which is not read; save it as plain PCM`,
    );
  if (channels < 1 || rate < 1 || bits % 8 !== 0)
    throw new DecodeError(
      path,
      `its WAV header has ${channels} channels, ${rate} Hz and ${bits} bits; save it again`,
    );
  return { code, channels, rate, bits };
}

function nameAt(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

/** A mono sound as a 16-bit WAV file: what the microphone gives and what samples are kept as. */
export function encodeWav(mono: Float32Array, rate: number): Uint8Array {
  const bytes = new Uint8Array(44 + mono.length * 2);
  const view = new DataView(bytes.buffer);
  const text = (at: number, name: string) => {
    for (let i = 0; i < 4; i++) bytes[at + i] = name.charCodeAt(i);
  };
  text(0, 'RIFF');
  view.setUint32(4, bytes.length - 8, true);
  text(8, 'WAVE');
  text(12, 'fmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, 'data');
  view.setUint32(40, mono.length * 2, true);
  for (let i = 0; i < mono.length; i++)
    view.setInt16(44 + i * 2, Math.max(-32768, Math.min(32767, Math.round(mono[i] * 32768))), true);
  return bytes;
}
