import type { ClassReport, Score } from '../protocol.ts';

/** Share of `hits` in `n` with its 95 % Wilson interval (Wilson, 1927). */
export function score(hits: number, n: number): Score {
  if (n === 0) return { accuracy: 0, low: 0, high: 1, n };
  const z = 1.959964;
  const p = hits / n;
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return { accuracy: p, low: Math.max(0, centre - half), high: Math.min(1, centre + half), n };
}

export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const top = Math.max(...values);
  const e = values.map((v) => Math.exp(v - top));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** -log softmax of the label. */
export function crossEntropyOf(logits: ArrayLike<number>, label: number): number {
  const values = Array.from(logits);
  const top = Math.max(...values);
  return Math.log(values.reduce((n, v) => n + Math.exp(v - top), 0)) + top - values[label];
}

/** confusion[true][predicted]. */
export function confusionOf(
  labels: readonly number[],
  predicted: readonly number[],
  classes: number,
): number[][] {
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  labels.forEach((label, i) => {
    matrix[label][predicted[i]]++;
  });
  return matrix;
}

export function classReports(
  names: readonly string[],
  confusion: readonly (readonly number[])[],
): ClassReport[] {
  return names.map((name, c) => {
    const support = confusion[c].reduce((a, b) => a + b, 0);
    const taken = confusion.reduce((n, row) => n + row[c], 0);
    const precision = taken ? confusion[c][c] / taken : 0;
    const recall = support ? confusion[c][c] / support : 0;
    const f1 = precision + recall ? (2 * precision * recall) / (precision + recall) : 0;
    return { name, precision, recall, f1, support };
  });
}
