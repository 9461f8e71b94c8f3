import { describe, expect, test } from 'vitest';
import { gaussian } from '../samplers/noise.ts';
import { kernelDistance } from './kernelDistance.ts';
import { precisionRecall } from './precisionRecall.ts';

const WIDTH = 8;
/** Rows of normal numbers around a mean. */
const rows = (count: number, seed: number, mean = 0, spread = 1) =>
  Array.from({ length: count }, (_, i) => gaussian(WIDTH, seed, i, 0).map((v) => mean + spread * v));

describe('kernel distance', () => {
  test('is the unbiased estimate, written out', () => {
    const [a, b] = [rows(20, 1), rows(23, 2, 0.4)];
    const k = (x: Float32Array, y: Float32Array) => (x.reduce((n, v, i) => n + v * y[i], 0) / WIDTH + 1) ** 3;
    const mean = (values: number[]) => values.reduce((n, v) => n + v, 0) / values.length;
    const within = (set: Float32Array[]) =>
      mean(set.flatMap((x, i) => set.filter((_, j) => j !== i).map((y) => k(x, y))));
    const expected = within(a) + within(b) - 2 * mean(a.flatMap((x) => b.map((y) => k(x, y))));
    expect(kernelDistance(a, b).value).toBeCloseTo(expected, 5);
  });

  test('of one distribution its interval holds zero in most draws, and of two it does not', () => {
    const holds = [1, 2, 3, 4, 5, 6, 7, 8].filter((seed) => {
      const { low, high } = kernelDistance(rows(60, seed), rows(60, seed + 100));
      return low <= 0 && high >= 0;
    });
    expect(holds.length).toBeGreaterThanOrEqual(6);
    const far = kernelDistance(rows(60, 1), rows(60, 2, 1));
    expect(far.low).toBeGreaterThan(0);
    expect(far.samples).toBe(60);
  });

  test('grows as distributions part', () => {
    const [near, far] = [0.3, 0.9].map((mean) => kernelDistance(rows(50, 1), rows(50, 2, mean)).value);
    expect(far).toBeGreaterThan(near);
  });

  test('needs samples', () => {
    expect(() => kernelDistance(rows(19, 1), rows(50, 2))).toThrow(RangeError);
  });
});

describe('precision and recall', () => {
  test('of a set with itself are 1, of sets far apart 0', () => {
    const set = rows(30, 1);
    expect(precisionRecall(set, set)).toEqual({ precision: 1, recall: 1 });
    expect(precisionRecall(set, rows(30, 2, 50))).toEqual({ precision: 0, recall: 0 });
  });

  test('samples of little variety are precise and recall little', () => {
    const { precision, recall } = precisionRecall(rows(80, 1), rows(80, 2, 0, 0.2));
    expect(precision).toBeGreaterThan(0.95);
    expect(recall).toBeLessThan(0.2);
  });

  test('needs neighbours', () => {
    expect(() => precisionRecall(rows(3, 1), rows(9, 2))).toThrow(RangeError);
  });
});
