/** A Fourier transform of one length, with its tables and scratch. */
export interface Fft {
  /** Values of the input, filled by the caller before each `power`. */
  readonly input: Float64Array;
  /** |X_k|² for k from 0 to length / 2, of the real input. The array is reused by the next call. */
  power(): Float64Array;
}

/**
 * The power spectrum of real frames of `length` values, by a decimation in time over the length's prime factors
 * (Cooley and Tukey, 1965), fours before twos. Any length works; those of small factors are fast.
 */
export function makeFft(length: number): Fft {
  const factors = factorsOf(length);
  const cos = Float64Array.from({ length }, (_, i) => Math.cos((2 * Math.PI * i) / length));
  const sin = Float64Array.from({ length }, (_, i) => -Math.sin((2 * Math.PI * i) / length));
  const input = new Float64Array(length);
  const [re, im] = [new Float64Array(length), new Float64Array(length)];
  const widest = Math.max(1, ...factors);
  const [partRe, partIm] = [new Float64Array(widest), new Float64Array(widest)];
  const result = new Float64Array((length >> 1) + 1);

  /** Transforms input[from + stride j], j < n, into re, im from `to` on. */
  function transform(n: number, from: number, stride: number, to: number, level: number): void {
    if (n === 1) {
      re[to] = input[from];
      im[to] = 0;
      return;
    }
    const p = factors[level];
    const m = n / p;
    for (let q = 0; q < p; q++) transform(m, from + q * stride, stride * p, to + q * m, level + 1);
    for (let k = 0; k < m; k++) {
      for (let q = 0; q < p; q++) {
        const at = to + q * m + k;
        const w = q * k * stride;
        partRe[q] = re[at] * cos[w] - im[at] * sin[w];
        partIm[q] = re[at] * sin[w] + im[at] * cos[w];
      }
      for (let r = 0; r < p; r++) {
        let [sumRe, sumIm] = [partRe[0], partIm[0]];
        for (let q = 1; q < p; q++) {
          const w = ((q * r) % p) * m * stride;
          sumRe += partRe[q] * cos[w] - partIm[q] * sin[w];
          sumIm += partRe[q] * sin[w] + partIm[q] * cos[w];
        }
        re[to + r * m + k] = sumRe;
        im[to + r * m + k] = sumIm;
      }
    }
  }

  return {
    input,
    power() {
      transform(length, 0, 1, 0, 0);
      for (let k = 0; k < result.length; k++) result[k] = re[k] * re[k] + im[k] * im[k];
      return result;
    },
  };
}

function factorsOf(length: number): number[] {
  const factors: number[] = [];
  let rest = length;
  for (const p of [4, 2, 3, 5]) for (; rest % p === 0; rest /= p) factors.push(p);
  for (let p = 7; rest > 1; p += 2) for (; rest % p === 0; rest /= p) factors.push(p);
  return factors;
}
