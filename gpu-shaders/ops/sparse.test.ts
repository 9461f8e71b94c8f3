import { describe, expect, test } from 'vitest';
import { constant, parameter } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { sparseLayout, sparseLinear } from './sparse.ts';

function reference(x: Float64Array, v: Float64Array, positions: number[], rows: number, columns: number) {
  const total = x.length / columns;
  const y = new Float64Array(total * rows);
  for (let t = 0; t < total; t++)
    positions.forEach((p, k) => {
      if (p < rows * columns) y[t * rows + Math.floor(p / columns)] += v[k] * x[t * columns + (p % columns)];
    });
  return y;
}

describe('sparseLinear', () => {
  test.each([
    ['rows and columns without an entry', [2, 3, 7], 5, [0, 6, 9, 13, 20, 33, 34]],
    ['values that stand for no entry', [300, 4], 6, [1, 5, 22, 24, 25]],
    ['a full matrix', [3, 3], 2, [0, 1, 2, 3, 4, 5]],
  ])('%s', (_, shape, rows, positions) => {
    const columns = shape.at(-1)!;
    const layout = sparseLayout(positions, rows, columns);
    return checkOp({
      shapes: [shape, [positions.length]],
      build: (x, v) => sparseLinear(x, v, constant(layout, [layout.length]), rows),
      reference: (x, v) => reference(x, v, positions, rows, columns),
    });
  });

  test('a layout of another matrix is refused', () => {
    const layout = sparseLayout([0, 3], 2, 2);
    expect(() =>
      sparseLinear(parameter('x', [1, 3]), parameter('v', [2]), constant(layout, [layout.length]), 2),
    ).toThrow(/layout of 11 u32/);
  });
});
