import { describe, expect, test } from 'vitest';
import { constant, parameter } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { evaluate } from '../testing/evaluate.ts';
import { gatherRows, oneHot } from './gather.ts';

const rows = (table: Float64Array, ids: ArrayLike<number>, d: number) =>
  Array.from(ids).flatMap((id) => Array.from({ length: d }, (_, j) => table[id * d + j] ?? 0));

describe('gatherRows', () => {
  const ids = Int32Array.of(3, 0, 3, -1, 9, 3, 4, 0, 2, 3);
  test('repeated, unused and invalid ids', () =>
    checkOp({
      shapes: [[7, 5]],
      build: (t) => gatherRows(t, constant(ids, [2, 5])),
      reference: (t) => rows(t, ids, 5),
    }));
  test('one id', () =>
    checkOp({
      shapes: [[3, 4]],
      build: (t) => gatherRows(t, constant(Uint32Array.of(2), [1])),
      reference: (t) => rows(t, [2], 4),
    }));
  test('float ids are refused', () => {
    expect(() => gatherRows(parameter('t', [2, 2]), parameter('ids', [2]))).toThrow(/Cast them/);
  });
});

test('oneHot', async () => {
  const { y } = await evaluate({ y: oneHot(constant(Int32Array.of(2, -1, 0), [3]), 3) });
  expect([...y]).toEqual([0, 0, 1, 0, 0, 0, 1, 0, 0]);
});
