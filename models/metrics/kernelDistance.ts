/** A figure with its 95 % interval, and how many samples it rests on. */
export interface Measured {
  value: number;
  low: number;
  high: number;
  /** Of the smaller of the two sets. */
  samples: number;
}

/** Rows of equal width. */
export type Features = readonly Float32Array[];

/** Parts of the sets that are left out in turn for the interval. */
const FOLDS = 10;

/**
 * Kernel inception distance (Bińkowski et al., 2018): the unbiased estimate of the squared maximum mean discrepancy under
 * the kernel (x·y / d + 1)³. It may be negative. The interval is that of a jackknife over ten parts of both sets at once.
 * Throws `RangeError` for fewer than twenty rows in either.
 */
export function kernelDistance(a: Features, b: Features): Measured {
  const samples = Math.min(a.length, b.length);
  if (samples < 2 * FOLDS)
    throw new RangeError(
      `A kernel distance needs ${2 * FOLDS} samples on either side; there are ${a.length} and ${b.length}.`,
    );
  const width = a[0].length;
  const within = [a, b].map((set) => new Sums(set, set, width));
  const across = new Sums(a, b, width);
  const at = (left: number) => {
    const parts = within.map((sums) => sums.without(left));
    const cross = across.without(left);
    return (
      parts.reduce((n, { sum, diagonal, rows }) => n + (sum - diagonal) / (rows * (rows - 1)), 0) -
      (2 * cross.sum) / (cross.rows * cross.columns)
    );
  };
  const value = at(-1);
  const folds = Array.from({ length: FOLDS }, (_, i) => at(i));
  const mean = folds.reduce((n, v) => n + v, 0) / FOLDS;
  const variance = ((FOLDS - 1) / FOLDS) * folds.reduce((n, v) => n + (v - mean) ** 2, 0);
  const half = 1.959964 * Math.sqrt(variance);
  return { value, low: value - half, high: value + half, samples };
}

const kernel = (x: Float32Array, y: Float32Array, width: number): number => {
  let dot = 0;
  for (let i = 0; i < width; i++) dot += x[i] * y[i];
  return (dot / width + 1) ** 3;
};

/** Kernel values of two sets summed by the parts that their rows fall in: row i is in part i mod ten. */
class Sums {
  private readonly sums = new Float64Array(FOLDS * FOLDS);
  private readonly diagonals = new Float64Array(FOLDS);

  constructor(
    private readonly a: Features,
    private readonly b: Features,
    width: number,
  ) {
    a.forEach((x, i) => {
      b.forEach((y, j) => {
        const value = kernel(x, y, width);
        this.sums[(i % FOLDS) * FOLDS + (j % FOLDS)] += value;
        if (a === b && i === j) this.diagonals[i % FOLDS] += value;
      });
    });
  }

  /** Everything but the rows of a part; -1 leaves nothing out. */
  without(left: number): { sum: number; diagonal: number; rows: number; columns: number } {
    const kept = (count: number) =>
      count - (left < 0 ? 0 : Math.floor(count / FOLDS) + (left < count % FOLDS ? 1 : 0));
    const sum = this.sums.reduce(
      (n, v, at) => (at % FOLDS === left || Math.floor(at / FOLDS) === left ? n : n + v),
      0,
    );
    const diagonal = this.diagonals.reduce((n, v, at) => (at === left ? n : n + v), 0);
    return { sum, diagonal, rows: kept(this.a.length), columns: kept(this.b.length) };
  }
}
