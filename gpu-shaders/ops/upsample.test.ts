import { expect, test } from 'vitest';
import { constant } from '../graph/leaves.ts';
import { ShapeError } from '../graph/tensor.ts';
import { checkOp } from '../testing/checkOp.ts';
import { upsampleNearest } from './upsample.ts';

for (const factor of [1, 2, 3])
  test(`upsampleNearest by ${factor}`, () =>
    checkOp({
      shapes: [[2, 2, 3, 2]],
      build: (x) => upsampleNearest(x, factor),
      reference: (x) => {
        const [h, w] = [2 * factor, 3 * factor];
        return Float64Array.from({ length: 2 * h * w * 2 }, (_, i) => {
          const [c, column, row, b] = [
            i % 2,
            Math.floor(i / 2) % w,
            Math.floor(i / 2 / w) % h,
            Math.floor(i / 2 / w / h),
          ];
          return x[((b * 2 + Math.floor(row / factor)) * 3 + Math.floor(column / factor)) * 2 + c];
        });
      },
    }));

test('upsampleNearest refuses what is no picture', () => {
  expect(() => upsampleNearest(constant(new Float32Array(4), [2, 2]), 2)).toThrow(ShapeError);
});
