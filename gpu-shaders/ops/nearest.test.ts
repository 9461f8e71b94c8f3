import { expect, test } from 'vitest';
import { constant } from '../graph/leaves.ts';
import { evaluate } from '../testing/evaluate.ts';
import { nearestCode } from './nearest.ts';

test.each([
  [[0.5], [0.5, 0.5, 0.5, 0.5, 0.5]],
  [
    [-1, 1],
    [-1, -1, 1, 1, -1],
  ],
  [
    [-2, -0.5, 1],
    [-2, -0.5, 1, 1, -0.5],
  ],
])('of the codes %j', async (codes, expected) => {
  const x = constant(Float32Array.of(-9, -0.2, 0.4, 7, 0), [5]);
  const { y } = await evaluate({ y: nearestCode(x, constant(Float32Array.from(codes), [codes.length])) });
  expect([...y]).toEqual(expected);
});
