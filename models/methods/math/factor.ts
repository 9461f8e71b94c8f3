import { identity, type Matrix, rowOf, rowsOf, transpose, zeros } from './matrix.ts';

/** m = l q with orthonormal rows in q, [k, columns], and l [rows, k] zero above its diagonal; k = min(rows, columns). */
export function lq(m: Matrix): { l: Matrix; q: Matrix } {
  const k = Math.min(m.rows, m.columns);
  const worked = { ...m, data: m.data.slice() };
  const mirrors: Float64Array[] = [];
  for (let i = 0; i < k; i++) {
    const v = rowOf(worked, i).slice();
    v.fill(0, 0, i);
    const length = Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
    v[i] += v[i] < 0 ? -length : length;
    const size = Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
    if (size > 0) for (let j = i; j < v.length; j++) v[j] /= size;
    for (let row = i; row < m.rows; row++) mirror(rowOf(worked, row), v, i);
    mirrors.push(v);
  }
  const q = rowsOf(identity(m.columns), 0, k);
  for (let i = k - 1; i >= 0; i--) for (let row = 0; row < k; row++) mirror(rowOf(q, row), mirrors[i], i);
  const l = zeros(m.rows, k);
  for (let row = 0; row < m.rows; row++) {
    const known = Math.min(row + 1, k);
    rowOf(l, row).set(rowOf(worked, row).subarray(0, known));
  }
  return { l, q };
}

/** m = q r with orthonormal columns in q and r zero below its diagonal. */
export function qr(m: Matrix): { q: Matrix; r: Matrix } {
  const { l, q } = lq(transpose(m));
  return { q: transpose(q), r: transpose(l) };
}

/** row - 2 (row · v) v, v being zero before `from`. */
function mirror(row: Float64Array, v: Float64Array, from: number): void {
  let along = 0;
  for (let j = from; j < row.length; j++) along += row[j] * v[j];
  if (along === 0) return;
  for (let j = from; j < row.length; j++) row[j] -= 2 * along * v[j];
}

/** The lower triangle l of a symmetric positive definite m = l lᵀ; null where it is not positive definite. */
export function cholesky(m: Matrix): Matrix | null {
  const n = m.rows;
  const l = zeros(n, n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = m.data[i * n + j];
      for (let k = 0; k < j; k++) sum -= l.data[i * n + k] * l.data[j * n + k];
      if (i > j) l.data[i * n + j] = sum / l.data[j * n + j];
      else if (sum > n * Number.EPSILON * m.data[i * n + i]) l.data[i * n + i] = Math.sqrt(sum);
      else return null;
    }
  return l;
}

/** x of x l lᵀ = y, row by row: y times the inverse of the matrix whose triangle l is. */
export function solveRows(y: Matrix, l: Matrix): Matrix {
  const n = l.rows;
  const x = { ...y, data: y.data.slice() };
  const lt = transpose(l);
  for (let row = 0; row < x.rows; row++) {
    const z = rowOf(x, row);
    for (let i = 0; i < n; i++) {
      let sum = z[i];
      for (let k = 0; k < i; k++) sum -= l.data[i * n + k] * z[k];
      z[i] = sum / l.data[i * n + i];
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = z[i];
      for (let k = i + 1; k < n; k++) sum -= lt.data[i * n + k] * z[k];
      z[i] = sum / l.data[i * n + i];
    }
  }
  return x;
}

/** Of a symmetric positive definite matrix; null where it is not positive definite. */
export function inverse(m: Matrix): Matrix | null {
  const l = cholesky(m);
  return l && solveRows(identity(m.rows), l);
}
