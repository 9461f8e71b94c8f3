import { describe, expect, test } from 'vitest';
import { constant } from '../graph/leaves.ts';
import { ShapeError } from '../graph/tensor.ts';
import { checkOp } from '../testing/checkOp.ts';
import { groupNorm } from './groupNorm.ts';

/** x [b, places, c] in groups, in float64. */
function reference(
  x: Float64Array,
  [b, places, c]: readonly [number, number, number],
  groups: number,
  w?: Float64Array,
  bias?: Float64Array,
) {
  const each = c / groups;
  const y = new Float64Array(x.length);
  for (let n = 0; n < b; n++)
    for (let g = 0; g < groups; g++) {
      const at: number[] = [];
      for (let p = 0; p < places; p++)
        for (let e = 0; e < each; e++) at.push((n * places + p) * c + g * each + e);
      const mean = at.reduce((s, i) => s + x[i], 0) / at.length;
      const variance = at.reduce((s, i) => s + (x[i] - mean) ** 2, 0) / at.length;
      for (const i of at)
        y[i] = ((x[i] - mean) / Math.sqrt(variance + 1e-5)) * (w?.[i % c] ?? 1) + (bias?.[i % c] ?? 0);
    }
  return y;
}

describe('groupNorm', () => {
  for (const groups of [1, 2, 6])
    test(`of NHWC in ${groups} groups`, () =>
      checkOp({
        shapes: [[2, 3, 2, 6], [6], [6]],
        build: (x, w, b) => groupNorm(x, groups, w, b, 1e-5),
        reference: (x, w, b) => reference(x, [2, 6, 6], groups, w, b),
        // A group of few values has steep gradients.
        tolerance: 3e-4,
      }));

  test('of tokens without weight and bias', () =>
    checkOp({
      shapes: [[2, 5, 4]],
      build: (x) => groupNorm(x, 2, null, null, 1e-5),
      reference: (x) => reference(x, [2, 5, 4], 2),
    }));

  test('refuses channels that do not divide', () => {
    const x = constant(new Float32Array(12), [1, 2, 6]);
    expect(() => groupNorm(x, 4, null, null, 1e-5)).toThrow(ShapeError);
  });
});
