import type { EvalPoint, RunCurves, StepPoint } from '../../workers/protocol.ts';

/** A run's curves, appended in place: copying thousands of points ten times a second would be felt. */
export interface LiveCurves extends RunCurves {
  epoch: number;
}

export const emptyCurves = (): LiveCurves => ({ steps: [], evals: [], journal: [], epoch: 0 });

/**
 * Appends points of a run. A resumed run replays from its checkpoint, so what it says again replaces what was there;
 * points of an older epoch are stale and dropped. Returns whether anything changed.
 */
export function append(curves: LiveCurves, epoch: number, steps: StepPoint[], evals: EvalPoint[]): boolean {
  if (epoch < curves.epoch) return false;
  curves.epoch = epoch;
  cutFrom(curves.steps, steps[0]?.step);
  curves.steps.push(...steps);
  for (const point of evals) {
    const at = curves.evals.findIndex((e) => e.step >= point.step && e.split === point.split);
    if (at >= 0) curves.evals = curves.evals.filter((e) => e.step < point.step || e.split !== point.split);
    curves.evals.push(point);
  }
  return steps.length + evals.length > 0;
}

function cutFrom(points: StepPoint[], step: number | undefined): void {
  if (step === undefined) return;
  while (points.length > 0 && points.at(-1)!.step >= step) points.pop();
}

/** Equal-length columns for a plot; `null` where a series has no point at that step. */
export interface Columns {
  step: number[];
  train: (number | null)[];
  smooth: (number | null)[];
  val: (number | null)[];
}

const MOST = 2000;

/**
 * Columns of one figure over the steps. Long runs are averaged into at most two thousand bins. The smoothed line is
 * an exponential mean with a half-life in steps, debiased, so its look does not depend on how long the run is.
 */
export function columns(curves: RunCurves, figure: 'loss' | 'accuracy', halfLife: number): Columns {
  const bin = Math.max(1, Math.ceil(curves.steps.length / MOST));
  const rows = new Map<number, { train: number | null; smooth: number | null; val: number | null }>();
  const decay = 0.5 ** (1 / Math.max(1e-9, halfLife));
  let mean = 0;
  let weight = 0;
  for (let from = 0; from < curves.steps.length; from += bin) {
    const part = curves.steps.slice(from, from + bin);
    let total = 0;
    for (const point of part) {
      mean = decay * mean + (1 - decay) * point[figure];
      weight = decay * weight + (1 - decay);
      total += point[figure];
    }
    rows.set(part.at(-1)!.step, { train: total / part.length, smooth: mean / weight, val: null });
  }
  for (const point of curves.evals) {
    if (point.split !== 'val') continue;
    const row = rows.get(point.step) ?? { train: null, smooth: null, val: null };
    rows.set(point.step, { ...row, val: point[figure] });
  }
  const step = [...rows.keys()].sort((a, b) => a - b);
  const pick = (key: 'train' | 'smooth' | 'val') => step.map((s) => rows.get(s)![key]);
  return { step, train: pick('train'), smooth: pick('smooth'), val: pick('val') };
}
