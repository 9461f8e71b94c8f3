/** A factor [rows, columns], flat. */
interface Factor {
  shape: readonly number[];
  data: Float32Array;
}

/**
 * Singular values of scale × b a, largest first, with a [r, …] and b [out, r, …]: those of the r × r product of the
 * factors' triangular roots, so the full update is never formed.
 */
export function lowRankSpectrum(a: Factor, b: Factor, scale: number): number[] {
  const r = a.shape[0];
  const gramA = gram(a.data, r, a.data.length / r, true);
  const gramB = gram(b.data, b.data.length / r, r, false);
  // σ² of b a are the eigenvalues of rootᵀ (bᵀ b) root, with a aᵀ = root rootᵀ.
  const root = symmetricRoot(gramA, r);
  const middle = multiply(multiply(root, gramB, r), root, r);
  return eigenvalues(middle, r)
    .values.map((v) => Math.abs(scale) * Math.sqrt(Math.max(0, v)))
    .sort((x, y) => y - x);
}

/** x xᵀ of a [rows, columns] matrix when `outer`, else xᵀ x. */
function gram(x: Float32Array, rows: number, columns: number, outer: boolean): Float64Array {
  const n = outer ? rows : columns;
  const depth = outer ? columns : rows;
  const at = outer
    ? (i: number, k: number) => x[i * columns + k]
    : (i: number, k: number) => x[k * columns + i];
  const g = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < depth; k++) sum += at(i, k) * at(j, k);
      g[i * n + j] = g[j * n + i] = sum;
    }
  return g;
}

function multiply(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const y = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < n; k++) for (let j = 0; j < n; j++) y[i * n + j] += a[i * n + k] * b[k * n + j];
  return y;
}

/** The symmetric square root of a positive semi-definite matrix. */
function symmetricRoot(m: Float64Array, n: number): Float64Array {
  const { values, vectors } = eigenvalues(m, n);
  const y = new Float64Array(n * n);
  for (let e = 0; e < n; e++) {
    const s = Math.sqrt(Math.max(0, values[e]));
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) y[i * n + j] += s * vectors[i * n + e] * vectors[j * n + e];
  }
  return y;
}

/** Eigenvalues and eigenvectors (columns) of a symmetric matrix, by Jacobi's cyclic rotations. */
function eigenvalues(m: Float64Array, n: number): { values: number[]; vectors: Float64Array } {
  const a = m.slice();
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    let all = 0;
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++)
        [off, all] = [off + (i === j ? 0 : a[i * n + j] ** 2), all + a[i * n + j] ** 2];
    if (off <= 1e-24 * all) break;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q);
  }
  return { values: Array.from({ length: n }, (_, i) => a[i * n + i]), vectors: v };
}

function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q];
  if (apq === 0) return;
  const theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  const turn = (m: Float64Array, i: number, j: number) => {
    const [x, y] = [m[i], m[j]];
    m[i] = c * x - s * y;
    m[j] = s * x + c * y;
  };
  for (let k = 0; k < n; k++) turn(a, k * n + p, k * n + q);
  for (let k = 0; k < n; k++) turn(a, p * n + k, q * n + k);
  for (let k = 0; k < n; k++) turn(v, k * n + p, k * n + q);
}
