import { describe, expect, test } from 'vitest';
import { noise } from '../../../gpu-shaders/testing/checkOp.ts';
import { addProduct } from '../merge.ts';
import { symmetricEigen } from './eigen.ts';
import { cholesky, inverse, lq, qr } from './factor.ts';
import { lowRankSpectrum, truncate } from './lowRank.ts';
import { gram, identity, type Matrix, matrixOf, multiply, norm, rowsOf, transpose } from './matrix.ts';
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
    expect([...top.values].every((v, i) => Math.abs(v / all.values[i] - 1) < 1e-12)).toBe(true);
    const part = ({ values, left, right }: typeof all) =>
      multiply(transpose(scaledRows(rowsOf(left, 0, 3), values)), rowsOf(right, 0, 3));
    expect(distance(part(top), part(all))).toBeLessThan(1e-11);
    expect([top.left.rows, top.right.rows]).toEqual([3, 3]);
    expect(svd({ rows: 4, columns: 6, data: new Float64Array(24) }, 2).values).toEqual(new Float64Array(2));
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

test.each([
  [4, 9],
  [9, 4],
  [6, 6],
])('a [%i, %i] matrix is a triangle times orthonormal rows', (rows, columns) => {
  const m = random(rows, columns);
  const k = Math.min(rows, columns);
  const { l, q } = lq(m);
  expect(distance(multiply(l, q), m)).toBeLessThan(1e-14);
  expect(distance(gram(q), identity(k))).toBeLessThan(1e-14);
  expect([...l.data].every((x, i) => i % k <= Math.floor(i / k) || x === 0)).toBe(true);
  const columnwise = qr(m);
  expect(distance(multiply(columnwise.q, columnwise.r), m)).toBeLessThan(1e-14);
  expect(distance(gram(transpose(columnwise.q)), identity(k))).toBeLessThan(1e-14);
});

test('a positive definite matrix has a triangle and an inverse, another has none', () => {
  const m = gram(random(12, 20));
  const l = cholesky(m)!;
  expect(distance(gram(l), m)).toBeLessThan(1e-14);
  expect(distance(multiply(m, inverse(m)!), identity(12))).toBeLessThan(1e-11);
  expect(inverse(gram(random(12, 3)))).toBeNull();
});

describe('a low-rank update', () => {
  const update = (rank: number, kernel: number[] = []) => ({
    path: 'p',
    a: { shape: [rank, 7, ...kernel], data: noise(rank * 7 * kernel.reduce((n, k) => n * k, 1), 1) },
    b: { shape: [5, rank, ...kernel.map(() => 1)], data: noise(5 * rank, 2) },
    scale: 1.5,
  });
  const full = (u: ReturnType<typeof update>) => {
    const width = u.a.data.length / u.a.shape[0];
    return matrixOf({ shape: [5, width], data: addProduct(new Float32Array(5 * width), u) });
  };

  test.each([1, 3, 8])('of rank %i has the singular values of its product', (rank) => {
    const u = update(rank);
    const expected = svd(full(u)).values;
    const found = lowRankSpectrum(u.a, u.b, u.scale);
    expect(found).toHaveLength(Math.min(rank, 5, 7));
    expect(Math.max(...found.map((v, i) => Math.abs(v - expected[i])))).toBeLessThan(1e-5 * found[0]);
  });

  test.each([[[]], [[3, 3]]])('with kernel %j is cut to the nearest of a smaller rank', (kernel) => {
    const u = update(4, kernel);
    const values = lowRankSpectrum(u.a, u.b, u.scale);
    for (const rank of [4, 2, 0]) {
      const cut = truncate(u, rank, 4);
      expect([cut.a.shape, cut.b.shape]).toEqual([u.a.shape, u.b.shape]);
      const lost = norm(minus(full(cut), full(u)));
      expect(lost).toBeCloseTo(Math.hypot(...values.slice(rank)), 4);
      if (rank) expect(norm(minus(full(truncate(u, rank)), full(cut)))).toBe(0);
    }
  });

  test('that is still zero has no direction', () => {
    const u = update(3);
    const zero = { ...u, b: { ...u.b, data: new Float32Array(15) } };
    expect(lowRankSpectrum(zero.a, zero.b, 1)).toEqual([0, 0, 0]);
    expect(truncate(zero, 2).b.data.every((x) => x === 0)).toBe(true);
  });
});
