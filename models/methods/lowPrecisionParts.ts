import {
  add,
  constant,
  div,
  mean,
  mul,
  nearestCode,
  reduceSum,
  sizeOf,
  sqrt,
  stopGradient,
  sub,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { Setting, Settings } from '../describe.ts';
import {
  type Bits,
  codesOf,
  dequantise,
  EPSILON,
  pack,
  packedBytes,
  quantise,
  unpack,
} from './math/quantise.ts';
import { type AddedParameter, type Attachment, MethodError, type PackedForm } from './method.ts';

export const bitsSetting: Setting = {
  key: 'bits',
  label: 'Bits',
  kind: 'choice',
  default: '1',
  options: ['1', '2', '4', '8', '32'].map((value) => ({ value, label: value })),
  primary: true,
  live: false,
  help: 'Bits that each number of the adapter takes in its file, and trains with; 32 rounds nothing.',
};

export const bitsOf = (settings: Settings): Bits | 32 => Number(settings.bits) as Bits | 32;

/**
 * A weight as it is used: each number's distance from the mean, in deviations, rounded to the nearest code. Gradients pass
 * straight through the rounding, and through mean and deviation (Jie et al., 2023, eq. 3 to 6).
 */
export function quantised(w: Tensor, bits: Bits | 32): Tensor {
  if (bits === 32) return w;
  const centre = mean(w);
  const centred = sub(w, centre);
  const deviation = sqrt(mul(reduceSum(mul(centred, centred)), 1 / Math.max(1, sizeOf(w.shape) - 1)));
  const normal = div(centred, add(deviation, EPSILON));
  const codes = codesOf(bits);
  const rounded = nearestCode(stopGradient(normal), constant(codes, [codes.length]));
  const through = add(normal, stopGradient(sub(rounded, normal)));
  return add(mul(through, deviation), centre);
}

/** The same of values at rest. */
export const asUsed = (w: Float32Array, bits: Bits | 32): Float32Array =>
  bits === 32 ? w : dequantise(quantise(w, bits), bits);

/**
 * The second matrix at the start: zero where nothing is rounded, else a narrow normal cut at two deviations (as released),
 * for a matrix of zeros has no deviation to be measured in.
 */
export function narrowStart(count: number, bits: Bits | 32): AddedParameter['initial'] {
  if (bits === 32) return () => new Float32Array(count);
  return (draw) =>
    Float32Array.from({ length: count }, () => {
      for (;;) {
        const x = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
        if (Math.abs(x) <= 2) return 0.001 * x;
      }
    });
}

/** Bytes that an adapter's matrices take in their file. */
export const adapterFileBytes = (
  { parameters }: Pick<Attachment, 'parameters'>,
  settings: Settings,
): number => parameters.reduce((n, { shape }) => n + packedBytes(sizeOf(shape), bitsOf(settings)), 0);

/** An adapter's matrices packed, each by the name declared; those of 32 bits stay as they are. */
export const packedForm: PackedForm = {
  bytes: adapterFileBytes,

  write({ parameters }, settings, tensors) {
    const bits = bitsOf(settings);
    if (bits === 32) return new Map();
    return new Map(parameters.map(({ name }) => [name, pack(tensors.get(name)!.data, bits)]));
  },

  read({ parameters }, settings, packed) {
    const bits = bitsOf(settings);
    const tensors = new Map(
      parameters.map(({ name, shape }) => {
        const bytes = packed.get(name);
        if (!bytes || bits === 32)
          throw new MethodError(`The adapter has no packed numbers of '${name}'. Fetch the file again.`);
        return [name, { shape, data: unpack(bytes, sizeOf(shape), bits) }] as const;
      }),
    );
    // Rounded once more they would move: what was rounded is used as it is.
    return { settings: { ...settings, bits: '32' }, tensors };
  },
};
