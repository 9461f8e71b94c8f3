import { constant } from '../graph/leaves.ts';
import type { Tensor } from '../graph/tensor.ts';
import { cos, sin } from './activations.ts';
import { mul } from './elementwise.ts';
import { concat } from './layout.ts';
import { reshape } from './reshape.ts';

export interface SinusoidOptions {
  /** Cosines before sines. */
  cosinesFirst?: boolean;
  /** How far the last frequency stays away from 1 / `maxPeriod`: the exponents are i / (width / 2 - shift). */
  shift?: number;
  maxPeriod?: number;
}

/**
 * Sines and cosines of t [B] at `width` / 2 frequencies falling from 1 to about 1 / maxPeriod: [B, width] (Ho et al.,
 * 2020, after the positions of Vaswani et al., 2017). `width` is even.
 */
export function sinusoid(
  t: Tensor,
  width: number,
  { cosinesFirst = false, shift = 0, maxPeriod = 10000 }: SinusoidOptions = {},
): Tensor {
  const half = width / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) =>
    Math.exp(Math.fround((-Math.log(maxPeriod) * i) / (half - shift))),
  );
  const angles = mul(reshape(t, [t.shape[0], 1]), constant(frequencies, [1, half]));
  return concat(cosinesFirst ? [cos(angles), sin(angles)] : [sin(angles), cos(angles)], 1);
}
