import { expect, test } from 'vitest';
import { constant, parameter } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { columnChoice, takeColumns } from './columns.ts';

test('takeColumns', () => {
  const columns = Uint32Array.of(4, 0, 3);
  const choice = columnChoice(columns, 5);
  return checkOp({
    shapes: [[2, 3, 5]],
    build: (x) => takeColumns(x, constant(choice, [8]), 3),
    reference: (x) => Array.from({ length: 18 }, (_, i) => x[Math.floor(i / 3) * 5 + columns[i % 3]]),
  });
});

test('a choice of other columns is refused', () => {
  const choice = constant(columnChoice(Uint32Array.of(0, 1), 4), [6]);
  expect(() => takeColumns(parameter('x', [2, 3]), choice, 2)).toThrow(/u32 \[5\]/);
});
