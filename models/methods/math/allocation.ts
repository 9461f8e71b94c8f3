/** When the budget of ranks shrinks, in steps. */
export interface BudgetPlan {
  /** Ranks of all modules together at the start, and in the end. */
  first: number;
  last: number;
  /** Steps before anything is cut, and the step from which the cut stands. */
  from: number;
  to: number;
}

/** The budget after a step: cubic from `first` to `last` (Zhang et al., 2023, eq. 12), rounded down as PEFT does. */
export function budgetAt(step: number, { first, last, from, to }: BudgetPlan): number {
  if (step <= from) return first;
  if (step >= to) return last;
  return Math.floor((first - last) * (1 - (step - from) / (to - from)) ** 3 + last);
}

/** Smoothed |value × gradient| of every number, and how far it strays from that (eq. 8 to 10). */
export interface Importance {
  sensitivity: Float32Array;
  uncertainty: Float32Array;
}

export function updateImportance(
  { sensitivity, uncertainty }: Importance,
  values: Float32Array,
  gradient: Float32Array,
  beta1: number,
  beta2: number,
): void {
  for (let i = 0; i < values.length; i++) {
    const now = Math.abs(values[i] * gradient[i]);
    sensitivity[i] = beta1 * sensitivity[i] + (1 - beta1) * now;
    uncertainty[i] = beta2 * uncertainty[i] + (1 - beta2) * Math.abs(now - sensitivity[i]);
  }
}

/** Importance of each of r triplets: of its E, and the means over its row of A and its column of B (eq. 7 and 11). */
export function tripletScores(a: Importance, e: Importance, b: Importance): Float64Array {
  const r = e.sensitivity.length;
  const width = a.sensitivity.length / r;
  const out = b.sensitivity.length / r;
  return Float64Array.from({ length: r }, (_, k) => {
    let [row, column] = [0, 0];
    for (let j = 0; j < width; j++) row += a.sensitivity[k * width + j] * a.uncertainty[k * width + j];
    for (let i = 0; i < out; i++) column += b.sensitivity[i * r + k] * b.uncertainty[i * r + k];
    return e.sensitivity[k] * e.uncertainty[k] + row / width + column / out;
  });
}

/** Whether each score is among the `budget` highest; those that tie with the first one out are out too. */
export function keptOf(scores: readonly Float64Array[], budget: number): boolean[][] {
  const all = Float64Array.from(scores.flatMap((s) => [...s])).sort();
  const threshold = budget < all.length ? all[all.length - budget - 1] : Number.NEGATIVE_INFINITY;
  return scores.map((s) => Array.from(s, (x) => x > threshold));
}
