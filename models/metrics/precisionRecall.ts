import type { Features } from './kernelDistance.ts';

export interface PrecisionRecall {
  /** Share of drawn samples that fall among the real ones: fidelity. */
  precision: number;
  /** Share of real samples that fall among the drawn ones: variety. */
  recall: number;
}

/**
 * Improved precision and recall (Kynkäänniemi et al., 2019): a sample falls among a set where it lies no farther from some
 * member than that member's `k`-th neighbour in its own set does. Throws `RangeError` where a set has no k-th neighbours.
 */
export function precisionRecall(real: Features, drawn: Features, k = 3): PrecisionRecall {
  if (Math.min(real.length, drawn.length) <= k)
    throw new RangeError(
      `Precision and recall with ${k} neighbours need more than ${k} samples on either side.`,
    );
  return { precision: shareAmong(drawn, real, k), recall: shareAmong(real, drawn, k) };
}

function shareAmong(asked: Features, set: Features, k: number): number {
  const reach = set.map((x) => set.map((y) => distance(x, y)).sort((p, q) => p - q)[k]);
  const inside = asked.filter((x) => set.some((y, i) => distance(x, y) <= reach[i]));
  return inside.length / asked.length;
}

/** Squared. */
function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
}
