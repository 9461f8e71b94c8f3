import { symmetricEigen } from './eigen.ts';
import { dot, gram, type Matrix, multiply, rowOf, transpose, turn, zeros } from './matrix.ts';

/** m = Σ values[i] · left[i]ᵀ right[i]: singular values, largest first, and their vectors in rows. */
export interface Svd {
  values: Float64Array;
  /** [k, rows of m] */
  left: Matrix;
  /** [k, columns of m] */
  right: Matrix;
}

const SWEEPS = 30;
const PRECISION = 1e-13;

/**
 * The k = min(rows, columns) singular values of a matrix, or the `top` largest, with orthonormal vectors also where
 * values are zero. The eigenvectors of the smaller Gram matrix bring the rows almost at right angles; one-sided Jacobi
 * rotations (Hestenes) finish, so that small values keep the accuracy that squaring costs them. The largest alone, which
 * lose little, are found several times faster: they are turned among themselves only.
 */
export function svd(m: Matrix, top = Math.min(m.rows, m.columns)): Svd {
  const wide = m.rows <= m.columns;
  const x = wide ? m : transpose(m);
  const k = Math.min(top, x.rows);
  const { vectors } = symmetricEigen(gram(x));
  const short = { ...vectors, rows: k, data: vectors.data.slice(0, k * vectors.columns) };
  const long = multiply(short, x);
  straighten(long, short);
  const { values, order } = lengths(long);
  const near = picked(short, order);
  const far = directions(picked(long, order), values);
  const [left, right] = wide ? [near, far] : [far, near];
  return { values, left, right };
}

/** Turns rows pairwise until all are at right angles, those of `beside` with them. */
function straighten(m: Matrix, beside: Matrix): void {
  const square = Float64Array.from({ length: m.rows }, (_, i) => dot(rowOf(m, i), rowOf(m, i)));
  const none = Math.max(...square) * Number.EPSILON ** 2;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let turned = false;
    for (let p = 0; p < m.rows; p++)
      for (let q = p + 1; q < m.rows; q++) {
        if (square[p] <= none || square[q] <= none) continue;
        const [x, y] = [rowOf(m, p), rowOf(m, q)];
        const across = dot(x, y);
        if (Math.abs(across) <= PRECISION * Math.sqrt(square[p] * square[q])) continue;
        turned = true;
        const half = (square[q] - square[p]) / (2 * across);
        const tangent = (half < 0 ? -1 : 1) / (Math.abs(half) + Math.hypot(half, 1));
        const c = 1 / Math.hypot(tangent, 1);
        turn(x, y, c, -c * tangent);
        turn(rowOf(beside, p), rowOf(beside, q), c, -c * tangent);
        square[p] = dot(x, x);
        square[q] = dot(y, y);
      }
    if (!turned) return;
  }
}

function lengths(m: Matrix) {
  const all = Float64Array.from({ length: m.rows }, (_, i) => Math.sqrt(dot(rowOf(m, i), rowOf(m, i))));
  const order = Array.from(all.keys()).sort((i, j) => all[j] - all[i]);
  return { values: Float64Array.from(order, (i) => all[i]), order };
}

function picked(m: Matrix, order: readonly number[]): Matrix {
  const y = zeros(order.length, m.columns);
  order.forEach((from, to) => {
    rowOf(y, to).set(rowOf(m, from));
  });
  return y;
}

/** The rows brought to length 1; where one has none, some direction at right angles to all others. */
function directions(m: Matrix, values: Float64Array): Matrix {
  const least = values[0] * Number.EPSILON;
  for (let i = 0; i < m.rows; i++) {
    const row = rowOf(m, i);
    if (values[i] > least) for (let j = 0; j < row.length; j++) row[j] /= values[i];
    else complete(m, i);
  }
  return m;
}

/** Makes row `at` orthonormal to those before it, from the axis that they leave most of. */
function complete(m: Matrix, at: number): void {
  const row = rowOf(m, at);
  const covered = new Float64Array(m.columns);
  for (let i = 0; i < at * m.columns; i++) covered[i % m.columns] += m.data[i] ** 2;
  row.fill(0);
  row[covered.indexOf(Math.min(...covered))] = 1;
  // Twice, because one pass leaves what rounding left.
  for (let pass = 0; pass < 2; pass++)
    for (let i = 0; i < at; i++) {
      const other = rowOf(m, i);
      const along = dot(row, other);
      for (let j = 0; j < row.length; j++) row[j] -= along * other[j];
    }
  const length = Math.sqrt(dot(row, row));
  for (let j = 0; j < row.length; j++) row[j] /= length;
}
