import { lq } from './factor.ts';
import { type Matrix, multiply, transpose } from './matrix.ts';
import { type Svd, svd } from './svd.ts';

/** Directions taken beside those asked for, and how often the matrix is applied: errors then are of rounding's order. */
const BESIDE = 8;
const ROUNDS = 2;
/** Matrices whose smaller side is at most this are taken apart whole. */
const SMALL = 48;

/**
 * The `r` strongest singular directions, by a random look at the matrix's range (Halko, Martinsson and Tropp, 2011, 4.4);
 * of small matrices, and where most directions are wanted, exactly. `draw` is uniform in [0, 1).
 */
export function topDirections(m: Matrix, r: number, draw: () => number): Svd {
  const least = Math.min(m.rows, m.columns);
  if (least <= SMALL || 3 * (r + BESIDE) > least) return svd(m, r);
  const probe: Matrix = {
    rows: r + BESIDE,
    columns: m.rows,
    // A sum of uniform draws is as good as a normal one here.
    data: Float64Array.from({ length: (r + BESIDE) * m.rows }, () => draw() + draw() + draw() + draw() - 2),
  };
  const turned = transpose(m);
  let range = lq(multiply(probe, m)).q;
  for (let i = 0; i < ROUNDS; i++) range = lq(multiply(lq(multiply(range, turned)).q, m)).q;
  const { values, left, right } = svd(multiply(range, turned), r);
  return { values, left: right, right: multiply(left, range) };
}
