import { hash32, uniform } from '../data/hash.ts';

/**
 * Standard normal numbers of one sample at one step: a function of seed, sample and step alone, so that a sample is the
 * same in whatever batch it is drawn. Step -1 is the start. Box and Muller's method on counted draws.
 */
export function gaussian(count: number, seed: number, sample: number, step: number): Float32Array {
  const stream = hash32(hash32(hash32(0x6e6f6973, seed), sample), step + 1);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    // A draw of 0 has no logarithm; half a grain more is as good.
    const radius = Math.sqrt(-2 * Math.log(uniform(stream, i) + 2 ** -33));
    const angle = 2 * Math.PI * uniform(stream, i + 1);
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** The same for neighbouring samples of a batch, one after the other. */
export function gaussians(
  count: number,
  seed: number,
  samples: readonly number[],
  step: number,
): Float32Array {
  const all = new Float32Array(count * samples.length);
  samples.forEach((sample, i) => {
    all.set(gaussian(count, seed, sample, step), i * count);
  });
  return all;
}
