import { expect, test } from 'vitest';
import { constant, parameter } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { takeColumns } from './columns.ts';

test('takeColumns', () => {
  const from = Uint32Array.of(4, 0, 3);
  const to = Uint32Array.of(1, 3, 3, 2, 0);
  return checkOp({
    shapes: [[2, 3, 5]],
    build: (x) => takeColumns(x, constant(from, [3]), constant(to, [5])),
    reference: (x) => Array.from({ length: 18 }, (_, i) => x[Math.floor(i / 3) * 5 + from[i % 3]]),
  });
});

test('an inverse of another width is refused', () => {
  const ids = constant(Uint32Array.of(0, 1), [2]);
  expect(() => takeColumns(parameter('x', [2, 3]), ids, ids)).toThrow(/inverse as u32 \[3\]/);
});
