import { lq } from './factor.ts';
import { matrixOf, multiply, rowOf, transpose } from './matrix.ts';
import { type Svd, svd } from './svd.ts';

/** A factor: [r, …] or [out, r, …], flat. */
interface Factor {
  shape: readonly number[];
  data: Float32Array;
}

interface Product {
  /** [r, in, …] */
  a: Factor;
  /** [out, r, …] */
  b: Factor;
  scale: number;
}

/**
 * Singular values and vectors of b a, by those of the small core between the orthonormal bases of both factors: the
 * full update is never formed.
 */
function factoredSvd(a: Factor, b: Factor): Svd {
  const right = lq(matrixOf(a));
  const rank = a.shape[0];
  const left = lq(transpose({ ...matrixOf(b), rows: b.shape[0], columns: rank }));
  const core = svd(multiply(transpose(left.l), right.l));
  return {
    values: core.values,
    left: multiply(core.left, left.q),
    right: multiply(core.right, right.q),
  };
}

/** Singular values of scale × b a, largest first, as many as b a can have that are not zero. */
export function lowRankSpectrum(a: Factor, b: Factor, scale: number): number[] {
  return Array.from(factoredSvd(a, b).values, (v) => v * Math.abs(scale));
}

/**
 * The nearest update of rank `rank` or less (Eckart and Young, 1936), of the same scale: the strongest directions, each
 * shared evenly between the factors. The factors come `width` wide, what they do not need being zero.
 */
export function truncate<P extends Product>(update: P, rank: number, width = rank): P {
  const { a, b } = update;
  const { values, left, right } = factoredSvd(a, b);
  const kept = Math.min(rank, width, values.length);
  const thinA = new Float32Array(width * right.columns);
  const thinB = new Float32Array(left.columns * width);
  for (let k = 0; k < kept; k++) {
    const root = Math.sqrt(values[k]);
    thinA.set(
      rowOf(right, k).map((x) => x * root),
      k * right.columns,
    );
    rowOf(left, k).forEach((x, i) => {
      thinB[i * width + k] = x * root;
    });
  }
  return {
    ...update,
    a: { shape: [width, ...a.shape.slice(1)], data: thinA },
    b: { shape: [b.shape[0], width, ...b.shape.slice(2)], data: thinB },
  };
}
