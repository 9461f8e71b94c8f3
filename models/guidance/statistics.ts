import { type Batch, deviations, norms, perSample, split } from './rules.ts';

/** Figures of one step, means over the samples of a batch, for plots over the steps. */
export interface GuidanceStatistics {
  /** Of Dc - Dr, and of its parts along the conditional prediction and across. */
  norm: number;
  parallel: number;
  orthogonal: number;
  /** Of what was added to the conditional prediction in the end. */
  push: number;
  /** Mean HSV saturation of the guided prediction, 0 to 1; null where it is no RGB picture. */
  saturation: number | null;
  /** Share of its values beyond ±1. */
  clipped: number;
  /** Standard deviation of its values: contrast. */
  contrast: number;
}

const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((a, v) => a + v, 0) / values.length;

/** Statistics of a step. `delta` is Dc - Dr, null in a step without reference. Pictures are NCHW. */
export function statisticsOf(
  conditional: Batch,
  guided: Batch,
  delta: Batch | null,
  { count, channels }: { count: number; channels: number },
): GuidanceStatistics {
  const parts = delta && split(delta, conditional, count);
  return {
    norm: delta ? mean(norms(delta, count)) : 0,
    parallel: parts ? mean(norms(parts.parallel, count)) : 0,
    orthogonal: parts ? mean(norms(parts.orthogonal, count)) : 0,
    push: mean(
      norms(
        guided.map((g, i) => g - conditional[i]),
        count,
      ),
    ),
    saturation: channels === 3 ? saturation(guided, count) : null,
    clipped: clippedShare(guided),
    contrast: mean(deviations(guided, count)),
  };
}

/** Share of values beyond ±1. */
export const clippedShare = (a: Batch): number =>
  a.reduce((n, v) => n + (Math.abs(v) > 1 ? 1 : 0), 0) / a.length;

/** Mean HSV saturation of RGB pictures in -1…1, [count, 3, places]; black counts as 0. */
export function saturation(pictures: Batch, count: number): number {
  let sum = 0;
  perSample(pictures.length, count, (from, to) => {
    const places = (to - from) / 3;
    for (let p = from; p < from + places; p++) {
      const rgb = [0, 1, 2].map((c) => (Math.min(Math.max(pictures[p + c * places], -1), 1) + 1) / 2);
      const most = Math.max(...rgb);
      sum += most > 0 ? (most - Math.min(...rgb)) / most : 0;
    }
  });
  return (3 * sum) / pictures.length;
}
