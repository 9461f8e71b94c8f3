/**
 * What a rotation adds to the identity, of a skew-symmetric q [n, n] row by row: the Neumann series
 * 2q + 2q² + … + 2q^(terms-2) + q^(terms-1), or exactly (I - q)(I + q)⁻¹ - I = -2q (I + q)⁻¹ where `terms` is null.
 */
export function cayleyChange(q: Float64Array, n: number, terms: number | null): Float64Array {
  if (terms === null) return exactly(q, n);
  let sum = q;
  for (let k = 0; k < terms - 2; k++) sum = times(q, sum, n).map((x, i) => x + 2 * q[i]);
  return sum;
}

/** The skew-symmetric matrix of the elements above its diagonal, row by row; `at` is where they begin. */
export function skewOf(elements: ArrayLike<number>, at: number, n: number, scale: number): Float64Array {
  const q = new Float64Array(n * n);
  let k = at;
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) {
      q[i * n + j] = scale * elements[k++];
      q[j * n + i] = -q[i * n + j];
    }
  return q;
}

function times(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const y = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < n; k++) for (let j = 0; j < n; j++) y[i * n + j] += a[i * n + k] * b[k * n + j];
  return y;
}

/** X of X (I + q) = -2q, by elimination of (I + q)ᵀ Xᵀ = 2q; its symmetric part is I, so no pivot vanishes. */
function exactly(q: Float64Array, n: number): Float64Array {
  const a = Float64Array.from(q, (x, i) => (i % (n + 1) === 0 ? 1 : -x));
  const y = q.map((x) => 2 * x);
  for (let p = 0; p < n; p++)
    for (let i = 0; i < n; i++) {
      if (i === p) continue;
      const factor = a[i * n + p] / a[p * n + p];
      for (let j = p; j < n; j++) a[i * n + j] -= factor * a[p * n + j];
      for (let j = 0; j < n; j++) y[i * n + j] -= factor * y[p * n + j];
    }
  return Float64Array.from(y, (_, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    return y[column * n + row] / a[column * n + column];
  });
}
