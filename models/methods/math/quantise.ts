/** Bits that a quantised weight may take. */
export const BITS = [1, 2, 4, 8] as const;
export type Bits = (typeof BITS)[number];

/** Keeps a matrix of equal numbers from being divided by zero (as released). */
export const EPSILON = 1e-5;

const known = new Map<Bits, Float32Array>();

/**
 * The 2^bits codes, ascending, that err least in the mean on numbers from a standard normal: by turns the edge between two
 * codes is half-way between them, and a code the median of its cell (Jie et al., 2023, 3.2).
 */
export function codesOf(bits: Bits): Float32Array {
  const found = known.get(bits) ?? Float32Array.from(medians(2 ** bits));
  known.set(bits, found);
  return found;
}

function medians(count: number): number[] {
  let codes = Array.from({ length: count }, (_, i) => quantile((i + 0.5) / count, 0));
  for (let round = 0; round < 4000; round++) {
    const edges = [0, ...codes.slice(1).map((c, i) => cumulative((c + codes[i]) / 2)), 1];
    const next = codes.map((c, i) => quantile((edges[i] + edges[i + 1]) / 2, c));
    const moved = Math.max(...next.map((c, i) => Math.abs(c - codes[i])));
    codes = next;
    if (moved < 1e-9) break;
  }
  // The normal is even, and so are its codes.
  return codes.map((c, i) => (c - codes[count - 1 - i]) / 2);
}

const density = (x: number) => Math.exp(-x * x * 0.5) / Math.sqrt(2 * Math.PI);

/** Share of a standard normal below x (Marsaglia, 2004, the series around zero). */
function cumulative(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 3; Math.abs(term) > 1e-17; k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 + sum * density(x);
}

/** x below which a share p of a standard normal lies, by Newton's steps from near it. */
function quantile(p: number, near: number): number {
  let x = near;
  for (let i = 0; i < 100; i++) {
    const step = (cumulative(x) - p) / density(x);
    // Far out the density is small, and a whole step would overshoot.
    x -= Math.max(-0.5, Math.min(0.5, step));
    if (Math.abs(step) < 1e-13) break;
  }
  return x;
}

/** Codes of a matrix, a byte each, with the mean and the deviation that they are measured in. */
export interface Quantised {
  codes: Uint8Array;
  mean: number;
  deviation: number;
}

/** Rounds each number to its nearest code, measured by the mean and deviation of all of them. */
export function quantise(w: Float32Array, bits: Bits): Quantised {
  const codes = codesOf(bits);
  const mean = w.reduce((n, x) => n + x, 0) / w.length;
  const deviation = Math.sqrt(w.reduce((n, x) => n + (x - mean) ** 2, 0) / Math.max(1, w.length - 1));
  const found = Uint8Array.from(w, (x) => nearest((x - mean) / (deviation + EPSILON), codes));
  return { codes: found, mean, deviation };
}

function nearest(x: number, codes: Float32Array): number {
  let [low, high] = [0, codes.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x > (codes[middle] + codes[middle + 1]) / 2) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function dequantise({ codes, mean, deviation }: Quantised, bits: Bits): Float32Array {
  const values = codesOf(bits);
  return Float32Array.from(codes, (c) => values[c] * deviation + mean);
}

/** Bytes of a packed matrix of `count` numbers: its bits, then mean and deviation as f32. */
export const packedBytes = (count: number, bits: Bits | 32): number =>
  bits === 32 ? 4 * count : Math.ceil((count * bits) / 8) + 8;

/** A matrix in as few bytes as it takes: codes, the first in a byte's lowest bits, then mean and deviation, little-endian. */
export function pack(w: Float32Array, bits: Bits): Uint8Array {
  const { codes, mean, deviation } = quantise(w, bits);
  const bytes = new Uint8Array(packedBytes(w.length, bits));
  const each = 8 / bits;
  codes.forEach((c, i) => {
    bytes[Math.floor(i / each)] |= c << ((i % each) * bits);
  });
  const view = new DataView(bytes.buffer);
  view.setFloat32(bytes.length - 8, mean, true);
  view.setFloat32(bytes.length - 4, deviation, true);
  return bytes;
}

/** The numbers that `pack` put away, as training used them. Throws a RangeError where the bytes are of another count. */
export function unpack(bytes: Uint8Array, count: number, bits: Bits): Float32Array {
  if (bytes.length !== packedBytes(count, bits))
    throw new RangeError(
      `${count} numbers of ${bits} bits take ${packedBytes(count, bits)} bytes, and there are ${bytes.length}.`,
    );
  const each = 8 / bits;
  const codes = Uint8Array.from(
    { length: count },
    (_, i) => (bytes[Math.floor(i / each)] >> ((i % each) * bits)) & (2 ** bits - 1),
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const mean = view.getFloat32(bytes.length - 8, true);
  const deviation = view.getFloat32(bytes.length - 4, true);
  return dequantise({ codes, mean, deviation }, bits);
}
