import { describe, test } from 'vitest';
import { checkOp } from '../testing/checkOp.ts';
import { mul } from './elementwise.ts';
import { reduceSum } from './reduce.ts';

/** Sums of x [outer, n, inner] over the middle axis. */
function sums64(x: Float64Array, outer: number, n: number, inner: number): Float64Array {
  const y = new Float64Array(outer * inner);
  x.forEach((v, i) => {
    y[Math.floor(i / (n * inner)) * inner + (i % inner)] += v;
  });
  return y;
}

describe('sums', () => {
  for (const rows of ['lone', 'group'] as const)
    for (const [outer, n, inner] of [
      [3, 7, 1],
      [2, 66, 1],
      [3, 132, 1],
      [2, 70, 5],
      [1, 520, 3],
    ] as const)
      test(`over the middle of [${[outer, n, inner]}], ${rows} form`, () =>
        checkOp({
          shapes: [[outer, n, inner]],
          target: { rows },
          build: (x) => mul(reduceSum(x, [1]), 2),
          reference: (x) => sums64(x, outer, n, inner).map((v) => 2 * v),
        }));
});
