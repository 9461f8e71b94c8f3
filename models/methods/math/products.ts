type Dense = { shape: readonly number[]; data: ArrayLike<number> };

/** a [m, k] times b [k, …], row by row, summed in float64. */
export function product(a: Dense, b: Dense): Float64Array {
  const [rows, inner] = a.shape;
  const columns = b.data.length / inner;
  const y = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < inner; k++) {
      const factor = a.data[i * inner + k];
      for (let j = 0; j < columns; j++) y[i * columns + j] += factor * b.data[k * columns + j];
    }
  return y;
}

/** Two factors, the second at most as small as the first is large, whose product is `n`, as LyCORIS and PEFT choose them. */
export function factorization(n: number, factor: number): [number, number] {
  if (factor > 0 && n % factor === 0) return [factor, n / factor];
  const most = factor === -1 ? n : factor;
  let [small, large] = [1, n];
  while (small < large) {
    let next = small + 1;
    while (n % next) next++;
    if (next + n / next > small + large || next > most) break;
    [small, large] = [next, n / next];
  }
  return small > large ? [large, small] : [small, large];
}
