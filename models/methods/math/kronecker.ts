import { type Matrix, rowOf, zeros } from './matrix.ts';
import { svd } from './svd.ts';

/** How a matrix [m1 m2, n1 n2] is cut into m1 × n1 blocks of [m2, n2]. */
export interface KroneckerSplit {
  m1: number;
  n1: number;
  m2: number;
  n2: number;
}

/** Left factors near `side` in both directions, or near the root of each side where it is 0, so that few numbers are needed. */
export function splitOf(rows: number, columns: number, side: number): KroneckerSplit {
  const [m1, n1] = [rows, columns].map((n) => nearestDivisor(n, side || Math.sqrt(n)));
  return { m1, n1, m2: rows / m1, n2: columns / n1 };
}

function nearestDivisor(n: number, wish: number): number {
  let best = 1;
  for (let d = 1; d <= n; d++) if (n % d === 0 && Math.abs(d - wish) < Math.abs(best - wish)) best = d;
  return best;
}

/**
 * The blocks of a matrix as rows [m1 n1, m2 n2], or such rows as the matrix again with `back`: in this order every
 * Kronecker product is a matrix of rank one (Van Loan and Pitsianis, 1993, eq. 4).
 */
export function rearrange(m: Matrix, { m1, n1, m2, n2 }: KroneckerSplit, back = false): Matrix {
  const y = back ? zeros(m1 * m2, n1 * n2) : zeros(m1 * n1, m2 * n2);
  for (let i1 = 0; i1 < m1; i1++)
    for (let j1 = 0; j1 < n1; j1++)
      for (let i2 = 0; i2 < m2; i2++) {
        const whole = (i1 * m2 + i2) * n1 * n2 + j1 * n2;
        const block = (i1 * n1 + j1) * m2 * n2 + i2 * n2;
        const [to, from] = back ? [whole, block] : [block, whole];
        y.data.set(m.data.subarray(from, from + n2), to);
      }
  return y;
}

/** How many terms a spectrum is worth. */
export type RankRule = 'energy' | 'elbow' | 'both' | 'all';

/**
 * Terms that the rule keeps, at least one. Energy: the fewest whose squares reach the share `energy` of all. Elbow:
 * those before the value farthest below the line from the first value to the last. Both: the fewer of the two.
 */
export function ruledRank(values: ArrayLike<number>, rule: RankRule, energy: number): number {
  const n = values.length;
  if (rule === 'all') return n;
  const squares = Array.from(values, (s) => s * s);
  const wanted = energy * squares.reduce((a, b) => a + b, 0);
  let sum = 0;
  let byEnergy = 0;
  while (byEnergy < n && (byEnergy === 0 || sum < wanted)) sum += squares[byEnergy++];
  const below = Array.from(
    values,
    (s, i) => values[0] + ((values[n - 1] - values[0]) * i) / Math.max(1, n - 1) - s,
  );
  const byElbow = Math.max(1, below.indexOf(Math.max(...below)));
  return { energy: byEnergy, elbow: byElbow, both: Math.min(byEnergy, byElbow) }[rule];
}

/** The `terms` strongest: m ≈ Σ uₖ ⊗ vₖ, strength shared evenly; u [terms, m1 n1], v [terms, m2 n2]. Nearest of all such sums. */
export function kroneckerTerms(m: Matrix, split: KroneckerSplit, terms: number) {
  const { values, left, right } = svd(rearrange(m, split));
  const kept = Math.min(terms, values.length);
  const [u, v] = [zeros(terms, left.columns), zeros(terms, right.columns)];
  for (let k = 0; k < kept; k++) {
    const root = Math.sqrt(values[k]);
    rowOf(u, k).set(rowOf(left, k).map((x) => x * root));
    rowOf(v, k).set(rowOf(right, k).map((x) => x * root));
  }
  return { values, u, v };
}

/** Σ uₖ ⊗ vₖ as a matrix. */
export function kroneckerSum(u: Matrix, v: Matrix, split: KroneckerSplit): Matrix {
  const blocks = zeros(u.columns, v.columns);
  for (let k = 0; k < u.rows; k++) {
    const [left, right] = [rowOf(u, k), rowOf(v, k)];
    for (let i = 0; i < left.length; i++) {
      const row = rowOf(blocks, i);
      for (let j = 0; j < right.length; j++) row[j] += left[i] * right[j];
    }
  }
  return rearrange(blocks, split, true);
}
