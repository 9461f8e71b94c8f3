import { identity, type Matrix, rowOf, turn } from './matrix.ts';

/** Eigenvalues, largest first, and their eigenvectors of length 1 in the rows of `vectors`. */
export interface Eigen {
  values: Float64Array;
  vectors: Matrix;
}

const STEPS_EACH = 60;

/**
 * Of a symmetric matrix: Householder's reduction to three diagonals, then implicit QR steps with Wilkinson's shift
 * (Golub and Van Loan, Matrix Computations, 8.3). Errors are relative to the largest eigenvalue.
 */
export function symmetricEigen(m: Matrix): Eigen {
  const n = m.rows;
  const { diagonal, beside, vectors } = tridiagonal(m);
  const scale = diagonal.reduce((most, d, i) => Math.max(most, Math.abs(d), Math.abs(beside[i])), 0);
  let left = STEPS_EACH * n;
  for (let hi = n - 1; hi > 0; ) {
    for (let i = 0; i < hi; i++) if (Math.abs(beside[i]) <= Number.EPSILON * scale) beside[i] = 0;
    if (beside[hi - 1] === 0) {
      hi--;
      continue;
    }
    let lo = hi - 1;
    while (lo > 0 && beside[lo - 1] !== 0) lo--;
    if (left-- === 0)
      throw new Error('Eigenvalues do not converge: the matrix holds a value that is no number.');
    chase(diagonal, beside, vectors, lo, hi);
  }
  return sorted(diagonal, vectors);
}

/** One QR step on rows lo to hi, as rotations that push the bulge out at the end. */
function chase(d: Float64Array, e: Float64Array, vectors: Matrix, lo: number, hi: number): void {
  const half = (d[hi - 1] - d[hi]) / 2;
  const last = e[hi - 1];
  const shift = d[hi] - last ** 2 / (half + (half < 0 ? -1 : 1) * Math.hypot(half, last));
  let x = d[lo] - shift;
  let z = e[lo];
  for (let k = lo; k < hi; k++) {
    const length = Math.hypot(x, z);
    const [c, s] = length === 0 ? [1, 0] : [x / length, z / length];
    if (k > lo) e[k - 1] = length;
    const [a, b, g] = [d[k], e[k], d[k + 1]];
    d[k] = c * c * a + 2 * c * s * b + s * s * g;
    d[k + 1] = s * s * a - 2 * c * s * b + c * c * g;
    e[k] = c * s * (g - a) + (c * c - s * s) * b;
    if (k < hi - 1) {
      x = e[k];
      z = s * e[k + 1];
      e[k + 1] *= c;
    }
    turn(rowOf(vectors, k), rowOf(vectors, k + 1), c, s);
  }
}

/** m as vectorsᵀ T vectors, with T's diagonal and what stands beside it. */
function tridiagonal(m: Matrix) {
  const n = m.rows;
  const a = { ...m, data: m.data.slice() };
  const beside = new Float64Array(n);
  const mirrors: Float64Array[] = [];
  for (let k = 0; k + 1 < n; k++) {
    const x = rowOf(a, k).slice(k + 1);
    const length = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
    beside[k] = x[0] < 0 ? length : -length;
    x[0] -= beside[k];
    const size = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
    if (size > 0) {
      for (let i = 0; i < x.length; i++) x[i] /= size;
      mirrorBothSides(a, k + 1, x);
    }
    mirrors.push(x);
  }
  const diagonal = Float64Array.from({ length: n }, (_, i) => a.data[i * n + i]);
  const vectors = identity(n);
  // Rows of the transposed product of the mirrors, the last mirror first.
  for (let k = mirrors.length - 1; k >= 0; k--) mirrorColumns(vectors, k + 1, mirrors[k]);
  return { diagonal, beside, vectors };
}

/** The part of `a` from row and column `from` between two mirrors I - 2 v vᵀ. */
function mirrorBothSides(a: Matrix, from: number, v: Float64Array): void {
  const p = new Float64Array(v.length);
  for (let i = 0; i < v.length; i++) {
    const row = rowOf(a, from + i);
    let sum = 0;
    for (let j = 0; j < v.length; j++) sum += row[from + j] * v[j];
    p[i] = 2 * sum;
  }
  const along = p.reduce((sum, x, i) => sum + x * v[i], 0);
  for (let i = 0; i < v.length; i++) p[i] -= along * v[i];
  for (let i = 0; i < v.length; i++) {
    const row = rowOf(a, from + i);
    for (let j = 0; j < v.length; j++) row[from + j] -= v[i] * p[j] + p[i] * v[j];
  }
}

/** Every row of `m`, from column `from`, mirrored by v; rows before `from` are still those of the identity. */
function mirrorColumns(m: Matrix, from: number, v: Float64Array): void {
  for (let i = from; i < m.rows; i++) {
    const row = rowOf(m, i);
    let sum = 0;
    for (let j = 0; j < v.length; j++) sum += row[from + j] * v[j];
    for (let j = 0; j < v.length; j++) row[from + j] -= 2 * sum * v[j];
  }
}

function sorted(values: Float64Array, vectors: Matrix): Eigen {
  const order = Array.from(values.keys()).sort((i, j) => values[j] - values[i]);
  const data = new Float64Array(vectors.data.length);
  order.forEach((from, to) => {
    data.set(rowOf(vectors, from), to * vectors.columns);
  });
  return { values: Float64Array.from(order, (i) => values[i]), vectors: { ...vectors, data } };
}
