import { describe, expect, test } from 'vitest';
import { noise } from '../../../gpu-shaders/testing/checkOp.ts';
import { symmetricEigen } from './eigen.ts';
import { gram, identity, type Matrix, matrixOf, multiply, norm, transpose } from './matrix.ts';
import { svd } from './svd.ts';

const random = (rows: number, columns: number, seed = 1) =>
  matrixOf({ shape: [rows, columns], data: noise(rows * columns, seed) });
const minus = (a: Matrix, b: Matrix): Matrix => ({ ...a, data: a.data.map((x, i) => x - b.data[i]) });
const distance = (a: Matrix, b: Matrix) => norm(minus(a, b)) / (norm(b) || 1);

function scaledRows(m: Matrix, by: ArrayLike<number>): Matrix {
  const y = { ...m, data: m.data.slice() };
  for (let i = 0; i < m.data.length; i++) y.data[i] *= by[Math.floor(i / m.columns)];
  return y;
}

function checkSvd(m: Matrix) {
  const { values, left, right } = svd(m);
  expect(distance(multiply(transpose(scaledRows(left, values)), right), m)).toBeLessThan(1e-13);
  expect(distance(gram(left), identity(left.rows))).toBeLessThan(1e-12);
  expect(distance(gram(right), identity(right.rows))).toBeLessThan(1e-12);
  expect([...values]).toEqual([...values].sort((a, b) => b - a));
  return values;
}

describe('singular values', () => {
  test.each([
    [1, 1],
    [5, 1],
    [1, 7],
    [24, 24],
    [20, 50],
    [50, 20],
  ])('of a [%i, %i] matrix', (rows, columns) => {
    checkSvd(random(rows, columns));
  });

  test('that are zero have orthonormal vectors too', () => {
    const m = multiply(random(30, 4), random(4, 12, 2));
    const values = checkSvd(m);
    expect(values[4] / values[0]).toBeLessThan(1e-14);
    checkSvd({ rows: 3, columns: 5, data: new Float64Array(15) });
  });

  test('are found over twelve decades, and where many are equal', () => {
    const q = svd(random(16, 16)).left;
    const p = svd(random(16, 40, 2)).right;
    const wanted = Float64Array.from({ length: 16 }, (_, i) => 10 ** (-0.8 * i));
    const values = checkSvd(multiply(transpose(scaledRows(q, wanted)), p));
    expect([...values].every((v, i) => Math.abs(v / wanted[i] - 1) < 1e-3)).toBe(true);
    expect([...checkSvd(q)].every((v) => Math.abs(v - 1) < 1e-12)).toBe(true);
  });

  test('the largest alone', () => {
    const m = random(20, 30);
    const [all, top] = [svd(m), svd(m, 3)];
    expect(top.values).toEqual(all.values.slice(0, 3));
    expect([top.left.rows, top.right.rows]).toEqual([3, 3]);
  });

  test('of a wide layer come within seconds', { timeout: 20_000 }, () => {
    const from = performance.now();
    checkSvd(random(192, 768));
    expect(performance.now() - from).toBeLessThan(10_000);
  });
});

test('eigenvectors of a symmetric matrix turn it into its eigenvalues', () => {
  const m = random(24, 24);
  const symmetric = { ...m, data: m.data.map((x, i) => x + transpose(m).data[i]) };
  const { values, vectors } = symmetricEigen(symmetric);
  expect(distance(gram(vectors), identity(24))).toBeLessThan(1e-13);
  expect(distance(multiply(transpose(scaledRows(vectors, values)), vectors), symmetric)).toBeLessThan(1e-13);
});
