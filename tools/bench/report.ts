import type { Contest } from './contest.ts';
import type { FloorResult } from './floor.page.ts';
import type { Measured } from './measure.ts';
import type { KernelTime } from './profile.ts';

export interface Engine extends Measured {
  name: string;
  /** The GPU process's processor time in each turn, in milliseconds; empty where it cannot be read. */
  processor: readonly number[];
}

/** Steps that warm an engine up; they are not timed. */
const WARM = 2;
/** Kernels that a profile lists. */
const KERNELS = 16;

export const median = (xs: readonly number[]): number => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** Steps after the warm-up, or the last one where there are no more. */
const timed = (m: Engine, list: readonly number[]) =>
  list.slice(Math.min(WARM, m.steps.length - 1), m.steps.length);

/** Largest relative difference between losses of the same step, over all engines and what is known of the model. */
export function disagreement({ known }: Pick<Contest, 'known'>, engines: readonly Engine[]): number {
  const lists = [...engines.map((e) => e.losses), known].filter((l) => l.length);
  let worst = 0;
  for (const list of lists)
    list.slice(0, lists[0].length).forEach((loss, i) => {
      const apart = Math.abs(loss / lists[0][i] - 1);
      worst = Math.max(worst, Number.isFinite(apart) ? apart : Number.POSITIVE_INFINITY);
    });
  return worst;
}

/** The printed comparison: a row for each engine, ratios against the first. */
export function report(contest: Contest, floor: FloorResult, engines: readonly Engine[]): string {
  // Best against best: a floor is what can be reached, and others' load can only hide it.
  const tiles = floor.tiles
    .map(({ name, rates }) => ({ name, rate: Math.max(...rates) }))
    .sort((a, b) => b.rate - a.rate);
  const floorMs = contest.flops === null ? null : contest.flops / tiles[0].rate / 1e6;
  const head = [
    'engine',
    'step ms',
    'range',
    'engine / ours',
    'best / floor',
    'forward ms',
    'GPU process ms',
    'engine / ours',
    'peak MB',
    ...Object.keys(engines[0].perStep),
  ];
  const apart = disagreement(contest, engines);
  return [
    '',
    `${contest.title}, on ${floor.adapter}`,
    `tiles on ${floor.shape.join('x')}, GFLOP/s: ${tiles.map((t) => `${t.name} ${t.rate.toFixed(2)}`).join(', ')}`,
    ...(floorMs === null
      ? []
      : [`floor: ${floorMs.toFixed(0)} ms, a step's operations at the best tile's best rate`]),
    table([head, ...engines.map((e) => row(e, engines[0], floorMs))]),
    'GPU process ms: its processor time in a step; where it does the computing, it depends less on the load than the clock.',
    `losses of ${engines[0].name}: ${engines[0].losses.map((l) => l.toFixed(6)).join(' ')}`,
    `all losses${contest.known.length ? ' and the known ones' : ''} within ${apart.toExponential(1)} (relative): ${apart <= 1e-3 ? 'they agree' : 'THEY DO NOT AGREE'}`,
    ...engines.flatMap((e) => (e.kernels ? ['', profileOf(e.name, e.kernels)] : [])),
  ].join('\n');
}

function row(e: Engine, ours: Engine, floorMs: number | null): string[] {
  const ms = median(timed(e, e.steps));
  const processor = median(timed(e, e.processor));
  const forward = median(e.forwards.slice(1));
  const whole = (x: number | undefined) => (x === undefined ? '-' : x.toFixed(0));
  const ratio = (x: number | undefined, y: number | undefined | null) =>
    x === undefined || !y ? '-' : (x / y).toFixed(2);
  const range = timed(e, e.steps);
  return [
    e.name,
    whole(ms),
    `${whole(Math.min(...range))}-${whole(Math.max(...range))}`,
    ratio(ms, median(timed(ours, ours.steps))),
    ratio(Math.min(...range), floorMs),
    whole(forward),
    whole(processor),
    ratio(processor, median(timed(ours, ours.processor))),
    whole(e.peakBytes / 2 ** 20),
    ...Object.values(e.perStep).map(String),
  ];
}

function profileOf(name: string, kernels: readonly KernelTime[]): string {
  const all = kernels.reduce((n, k) => n + k.ms, 0);
  const shown = kernels.slice(0, KERNELS);
  const rest = kernels.slice(KERNELS).reduce((n, k) => n + k.ms, 0);
  const line = (label: string, count: string, ms: number, flops: number) => [
    label,
    count,
    ms.toFixed(1),
    `${((100 * ms) / all).toFixed(1)} %`,
    flops ? (flops / ms / 1e6).toFixed(2) : '',
  ];
  return [
    `GPU time of a step of ${name}: ${all.toFixed(0)} ms`,
    table([
      ['kernel', 'times', 'ms', 'share', 'GFLOP/s'],
      ...shown.map((k) => line(k.label, String(k.count), k.ms, k.flops)),
      ...(rest ? [line('all others', '', rest, 0)] : []),
    ]),
  ].join('\n');
}

function table(rows: readonly string[][]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((r) => r[c].length)));
  return rows
    .map((r) => r.map((cell, c) => (c ? cell.padStart(widths[c]) : cell.padEnd(widths[c]))).join('  '))
    .join('\n');
}
