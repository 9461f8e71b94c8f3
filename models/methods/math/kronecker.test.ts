import { describe, expect, test } from 'vitest';
import { noise } from '../../../gpu-shaders/testing/checkOp.ts';
import { kroneckerSum, kroneckerTerms, rearrange, ruledRank, splitOf } from './kronecker.ts';
import { type Matrix, matrixOf, norm } from './matrix.ts';

const random = (rows: number, columns: number, seed: number) =>
  matrixOf({ shape: [rows, columns], data: noise(rows * columns, seed) });
const distance = (a: Matrix, b: Matrix) => norm({ data: a.data.map((x, i) => x - b.data[i]) }) / norm(b);

/** Σ uₖ ⊗ vₖ by the definition of the product, entry by entry. */
function planted(terms: number, [m1, n1, m2, n2]: number[]): Matrix {
  const data = new Float64Array(m1 * m2 * n1 * n2);
  for (let k = 0; k < terms; k++) {
    const [u, v] = [random(m1, n1, 2 * k + 1), random(m2, n2, 2 * k + 2)];
    for (let i = 0; i < m1 * m2; i++)
      for (let j = 0; j < n1 * n2; j++) {
        const left = u.data[Math.floor(i / m2) * n1 + Math.floor(j / n2)];
        data[i * n1 * n2 + j] += left * v.data[(i % m2) * n2 + (j % n2)];
      }
  }
  return { rows: m1 * m2, columns: n1 * n2, data };
}

describe('the Kronecker-product SVD', () => {
  const split = { m1: 3, n1: 4, m2: 5, n2: 2 };

  test('rearranges blocks into rows and back', () => {
    const m = random(15, 8, 1);
    expect(rearrange(rearrange(m, split), split, true)).toEqual(m);
  });

  test('is exact with all terms, and off by the terms left out with fewer', () => {
    const m = random(15, 8, 1);
    for (const terms of [10, 3]) {
      const { values, u, v } = kroneckerTerms(m, split, terms);
      const lost = Math.hypot(...values.slice(terms)) / norm(m);
      expect(distance(kroneckerSum(u, v, split), m)).toBeCloseTo(lost, 12);
    }
  });

  test('finds two planted terms, and both rules pick two', () => {
    const m = planted(2, [3, 4, 5, 2]);
    const { values, u, v } = kroneckerTerms(m, split, 2);
    expect(distance(kroneckerSum(u, v, split), m)).toBeLessThan(1e-12);
    for (const rule of ['elbow', 'both'] as const) expect(ruledRank(values, rule, 0.999)).toBe(2);
    expect(ruledRank(values, 'energy', 0.999)).toBe(2);
  });

  test('splits sides near their roots, or near what is asked for', () => {
    expect(splitOf(384, 1536, 0)).toEqual({ m1: 16, n1: 32, m2: 24, n2: 48 });
    expect(splitOf(384, 1536, 4)).toEqual({ m1: 4, n1: 4, m2: 96, n2: 384 });
    expect(splitOf(7, 13, 0)).toMatchObject({ m1: 1, n1: 1 });
  });
});

test('rules keep what they say, and at least one', () => {
  const values = [4, 3, 1, 0.5, 0.4, 0.3];
  expect(ruledRank(values, 'energy', 0.5)).toBe(1);
  expect(ruledRank(values, 'energy', 0.9)).toBe(2);
  expect(ruledRank(values, 'elbow', 0.9)).toBe(2);
  expect(ruledRank(values, 'all', 0.1)).toBe(6);
  expect(ruledRank([2], 'both', 0.9)).toBe(1);
  expect(ruledRank([0, 0, 0], 'both', 0.9)).toBe(1);
});
