import { expect, test } from 'vitest';
import { budgetAt, keptOf, tripletScores, updateImportance } from './allocation.ts';

test('the budget falls as a cube between its two ends', () => {
  const plan = { first: 16, last: 8, from: 4, to: 14 };
  expect([0, 4, 5, 9, 13, 14, 20].map((step) => budgetAt(step, plan))).toEqual([16, 16, 13, 9, 8, 8, 8]);
});

test('importance is smoothed, and so is how far it strays', () => {
  const own = { sensitivity: Float32Array.of(0), uncertainty: Float32Array.of(0) };
  updateImportance(own, Float32Array.of(-2), Float32Array.of(3), 0.5, 0.5);
  expect([own.sensitivity[0], own.uncertainty[0]]).toEqual([3, 1.5]);
  updateImportance(own, Float32Array.of(1), Float32Array.of(1), 0.5, 0.5);
  expect([own.sensitivity[0], own.uncertainty[0]]).toEqual([2, 1.25]);
});

test('a triplet scores by its value and the means of its vectors', () => {
  const of = (...s: number[]) => ({
    sensitivity: Float32Array.from(s),
    uncertainty: Float32Array.from(s, () => 2),
  });
  // Two triplets: A [2, 3], E [2], B [2 outputs, 2].
  expect([...tripletScores(of(1, 2, 3, 0, 0, 3), of(10, 20), of(1, 5, 3, 7))]).toEqual([28, 54]);
});

test('the budget is spent on the highest scores of all modules', () => {
  const scores = [Float64Array.of(5, 1), Float64Array.of(4, 3)];
  expect(keptOf(scores, 4)).toEqual([
    [true, true],
    [true, true],
  ]);
  expect(keptOf(scores, 2)).toEqual([
    [true, false],
    [true, false],
  ]);
  expect(keptOf(scores, 0).flat()).not.toContain(true);
});
