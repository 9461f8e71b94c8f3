import { isQuantised, packedLayout, type QuantisedDType, sizeOf, type TensorType } from './graph/tensor.ts';

/**
 * The 16 values of NF4: quantiles of the normal distribution, scaled to [-1, 1], zero among them (Dettmers et al.,
 * 2023, appendix E; the same numbers as bitsandbytes').
 */
export const nf4Values: readonly number[] = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
  -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
];

/** Between two neighbouring values, from where on the upper one is nearer. */
const nf4Bounds = Float32Array.from(nf4Values.slice(1), (v, i) => (v + nf4Values[i]) / 2);

/** Weights that are no numbers, and so cannot be quantised. */
export class QuantiseError extends Error {
  override name = 'QuantiseError';
}

/**
 * Values of a tensor as the words that a frozen leaf of its type holds: codes, then one f32 scale each row or group
 * (`packedLayout`). int8 is symmetric, a scale for each index of the first axis: trained weights lie about zero, so a
 * zero point would win less than a bit and cost an addition at each read. NF4 has a scale for 64 values in storage
 * order, whatever row they are in. Values of equal codes and scales come back as the same words. Throws
 * `QuantiseError` for NaN and infinities.
 */
export function quantise(values: Float32Array, type: TensorType): Uint32Array {
  const { dtype, shape } = type;
  if (!isQuantised(dtype)) throw new TypeError(`${dtype} is no quantised type.`);
  if (values.length !== sizeOf(shape))
    throw new RangeError(`quantise: ${values.length} values for shape [${shape}].`);
  const { codeWords, words, per } = packedLayout({ shape, dtype });
  const packed = new Uint32Array(words);
  const scales = new Float32Array(packed.buffer, 4 * codeWords);
  const encode = encoders[dtype];
  for (let row = 0; row < scales.length; row++) {
    const end = Math.min(values.length, (row + 1) * per);
    let top = 0;
    for (let i = row * per; i < end; i++) {
      const size = Math.abs(values[i]);
      if (!(size < Number.POSITIVE_INFINITY)) throw new QuantiseError(`Element ${i} is ${values[i]}.`);
      if (size > top) top = size;
    }
    scales[row] = encode(values, row * per, end, top, packed);
  }
  return packed;
}

/** Writes the codes of values [from, to), whose largest magnitude is `top`, and returns their scale. */
type Encode = (values: Float32Array, from: number, to: number, top: number, packed: Uint32Array) => number;

const encoders: Record<QuantisedDType, Encode> = {
  int8: (values, from, to, top, packed) => {
    // Twice, so that quantising what was quantised finds the very same scale.
    const scale = step(Math.fround(127 * step(top)));
    if (!scale) return 0;
    for (let i = from; i < to; i++) {
      const code = Math.min(127, Math.max(-127, Math.round(values[i] / scale)));
      packed[i >> 2] |= (code & 255) << (8 * (i & 3));
    }
    return scale;
  },
  nf4: (values, from, to, top, packed) => {
    // A quotient that overflows or is 0 / 0 would have no code: such a group is zero to f32's eye.
    const scale = top < TINY ? 0 : top;
    for (let i = from; i < to; i++)
      packed[i >> 3] |= (scale ? nearest(values[i] / scale) : 7) << (4 * (i & 7));
    return scale;
  },
};

const step = (top: number) => (top < TINY ? 0 : Math.fround(top / 127));
/** Scales below this would be subnormal on a GPU, which may flush them to zero. */
const TINY = 127 * 2 ** -126;

function nearest(x: number): number {
  let code = 0;
  for (let half = 8; half > 0; half >>= 1) if (x > nf4Bounds[code + half - 1]) code += half;
  return code;
}

/** The values that such words stand for, as kernels read them: to the last bit. */
export function dequantise(packed: Uint32Array, type: TensorType): Float32Array {
  const { dtype, shape } = type;
  if (!isQuantised(dtype)) throw new TypeError(`${dtype} is no quantised type.`);
  const { codeWords, words, per } = packedLayout({ shape, dtype });
  if (packed.length !== words)
    throw new RangeError(`dequantise: ${packed.length} words for ${dtype} [${shape}], which takes ${words}.`);
  const scales = new Float32Array(packed.buffer, packed.byteOffset + 4 * codeWords, words - codeWords);
  const out = new Float32Array(sizeOf(shape));
  const table = Float32Array.from(nf4Values);
  for (let i = 0; i < out.length; i++) {
    const scale = scales[Math.floor(i / per)];
    out[i] =
      scale *
      (dtype === 'int8'
        ? (packed[i >> 2] << (24 - 8 * (i & 3))) >> 24
        : table[(packed[i >> 3] >>> (4 * (i & 7))) & 15]);
  }
  return out;
}
