/** A matrix in float64, row by row. */
export interface Matrix {
  rows: number;
  columns: number;
  data: Float64Array;
}

export function zeros(rows: number, columns: number): Matrix {
  return { rows, columns, data: new Float64Array(rows * columns) };
}

export function identity(n: number): Matrix {
  const m = zeros(n, n);
  for (let i = 0; i < n; i++) m.data[i * n + i] = 1;
  return m;
}

/** A weight or a factor [rows, …] as a matrix: every axis behind the first is a column. */
export function matrixOf(t: { shape: readonly number[]; data: ArrayLike<number> }): Matrix {
  const rows = t.shape[0];
  return { rows, columns: t.data.length / rows, data: Float64Array.from(t.data) };
}

export function rowOf(m: Matrix, i: number): Float64Array {
  return m.data.subarray(i * m.columns, (i + 1) * m.columns);
}

/** Rows [from, to), sharing memory. */
export function rowsOf(m: Matrix, from: number, to: number): Matrix {
  return {
    rows: to - from,
    columns: m.columns,
    data: m.data.subarray(from * m.columns, to * m.columns),
  };
}

export function transpose(m: Matrix): Matrix {
  const t = zeros(m.columns, m.rows);
  for (let i = 0; i < m.rows; i++)
    for (let j = 0; j < m.columns; j++) t.data[j * m.rows + i] = m.data[i * m.columns + j];
  return t;
}

/** a b */
export function multiply(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows)
    throw new RangeError(`[${a.rows}, ${a.columns}] times [${b.rows}, ${b.columns}] is no product.`);
  const y = zeros(a.rows, b.columns);
  const n = b.columns;
  for (let i = 0; i < a.rows; i++) {
    const to = rowOf(y, i);
    for (let k = 0; k < a.columns; k++) {
      const factor = a.data[i * a.columns + k];
      if (factor === 0) continue;
      const from = k * n;
      for (let j = 0; j < n; j++) to[j] += factor * b.data[from + j];
    }
  }
  return y;
}

/** m mᵀ */
export function gram(m: Matrix): Matrix {
  const g = zeros(m.rows, m.rows);
  for (let i = 0; i < m.rows; i++)
    for (let j = 0; j <= i; j++)
      g.data[i * m.rows + j] = g.data[j * m.rows + i] = dot(rowOf(m, i), rowOf(m, j));
  return g;
}

export function dot(x: Float64Array, y: Float64Array): number {
  const n = x.length;
  const whole = n - (n % 4);
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  // Four sums at once: the additions need not wait for one another.
  for (let i = 0; i < whole; i += 4) {
    a += x[i] * y[i];
    b += x[i + 1] * y[i + 1];
    c += x[i + 2] * y[i + 2];
    d += x[i + 3] * y[i + 3];
  }
  for (let i = whole; i < n; i++) a += x[i] * y[i];
  return a + b + (c + d);
}

/** Frobenius norm. */
export function norm(m: Pick<Matrix, 'data'>): number {
  return Math.sqrt(dot(m.data, m.data));
}

/** Turns two rows: x becomes c x + s y, y becomes c y - s x. */
export function turn(x: Float64Array, y: Float64Array, c: number, s: number): void {
  for (let i = 0; i < x.length; i++) {
    const p = x[i];
    const q = y[i];
    x[i] = c * p + s * q;
    y[i] = c * q - s * p;
  }
}
