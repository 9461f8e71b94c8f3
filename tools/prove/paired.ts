import type { Score } from '../../workers/protocol.ts';
import { score } from '../../workers/session/metrics.ts';

/** How much more often one classifier is right than another on the same pictures. */
export interface Margin {
  /** Difference of the two accuracies. */
  difference: number;
  /** Its 95 % interval. */
  low: number;
  high: number;
}

/** Difference of paired proportions with its normal-approximation (Wald) interval. */
export function margin(a: readonly boolean[], b: readonly boolean[]): Margin {
  const n = a.length;
  const [won, lost] = a.reduce(
    ([w, l], hit, i) => [w + Number(hit && !b[i]), l + Number(!hit && b[i])],
    [0, 0],
  );
  const difference = (won - lost) / n;
  const half = (1.959964 * Math.sqrt(won + lost - (won - lost) ** 2 / n)) / n;
  return { difference, low: difference - half, high: difference + half };
}

export const scoreOf = (hits: readonly boolean[]): Score => score(hits.filter(Boolean).length, hits.length);

const percent = (x: number) => (100 * x).toFixed(1);
export const showScore = (s: Score) => `${percent(s.accuracy)} % (${percent(s.low)}–${percent(s.high)})`;
export const showMargin = (m: Margin) =>
  `${m.difference < 0 ? '' : '+'}${percent(m.difference)} points (${percent(m.low)} to ${percent(m.high)})`;
