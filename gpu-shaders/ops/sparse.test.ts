import { describe, expect, test } from 'vitest';
import { constant, parameter } from '../graph/leaves.ts';
import { narrowRows } from '../graph/narrow.ts';
import { nodesOf } from '../graph/tensor.ts';
import { checkOp, noise } from '../testing/checkOp.ts';
import { evaluate } from '../testing/evaluate.ts';
import { columnChoice, takeColumns } from './columns.ts';
import { copy } from './elementwise.ts';
import { slice } from './layout.ts';
import { readLayout, sparseLayout, sparseLinear } from './sparse.ts';

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
    ['any order, with values that stand for no entry between', [5, 4], 3, [11, 12, 0, 5, 90, 3]],
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

  test('only the rows that are read are computed', async () => {
    const layout = sparseLayout([0, 6, 9, 13], 5, 7);
    const x = constant(noise(2 * 3 * 7, 1), [2, 3, 7]);
    const y = sparseLinear(x, constant(noise(4, 2), [4]), constant(layout, [layout.length]), 5);
    const choice = constant(columnChoice(Uint32Array.of(3, 0), 5), [7]);
    const part = slice(takeColumns(y, choice, 2), [0, 1, 0], [2, 1, 2]);
    const [narrow] = narrowRows([part]);
    expect(nodesOf([narrow]).every((n) => n.op.name !== 'sparseProduct' || n.outputs[0].shape[1] === 1)).toBe(
      true,
    );
    const { whole, rows } = await evaluate({ whole: copy(part), rows: copy(narrow) });
    expect(rows).toEqual(whole);
  });

  test('a layout says what it was made of', () => {
    expect(readLayout(sparseLayout([5, 0, 99], 2, 3))).toEqual({
      rows: 2,
      columns: 3,
      positions: Uint32Array.of(5, 0, 99),
    });
  });

  test('a layout of another matrix is refused', () => {
    const layout = sparseLayout([0, 3], 2, 2);
    expect(() =>
      sparseLinear(parameter('x', [1, 3]), parameter('v', [2]), constant(layout, [layout.length]), 2),
    ).toThrow(/layout of 15 u32/);
  });
});
