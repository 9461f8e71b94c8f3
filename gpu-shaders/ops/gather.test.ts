import { describe, expect, test } from 'vitest';
import { constant, parameter } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { evaluate } from '../testing/evaluate.ts';
import { embedding, gatherRows, oneHot } from './gather.ts';

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
  test('a table whose first row is not number 0', () =>
    checkOp({
      shapes: [[4, 3]],
      build: (t) => gatherRows(t, constant(Uint32Array.of(5, 4, 8, 7, 0, 5), [3, 2]), 4),
      reference: (t) => rows(t, [1, 0, 4, 3, 99, 1], 3),
    }));
  test('a table in three bands', () =>
    checkOp({
      shapes: [
        [3, 5],
        [1, 5],
        [2, 5],
      ],
      build: (...bands) => embedding(bands, constant(Uint32Array.of(0, 5, 3, 2, 4, 5, 6, 1), [2, 4])),
      reference: (...bands) => {
        const whole = Float64Array.from(bands.flatMap((b) => [...b]));
        return rows(whole, [0, 5, 3, 2, 4, 5, 6, 1], 5);
      },
    }));
  test('float ids are refused', () => {
    expect(() => gatherRows(parameter('t', [2, 2]), parameter('ids', [2]))).toThrow(/Cast them/);
  });
});

test('oneHot', async () => {
  const { y } = await evaluate({ y: oneHot(constant(Int32Array.of(2, -1, 0), [3]), 3) });
  expect([...y]).toEqual([0, 0, 1, 0, 0, 0, 1, 0, 0]);
});
