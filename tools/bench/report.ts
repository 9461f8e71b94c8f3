import type { FloorResult } from './floor.page.ts';
import type { Measured } from './measure.ts';
import { knownLosses, modelFlops, type Spec, specOf } from './model.ts';

export type Named = Measured & { name: string };

/** Steps that warm an engine up; they are not timed. */
const WARM = 2;

export const median = (xs: readonly number[]): number => [...xs].sort((a, b) => a - b)[xs.length >> 1];
const stepMs = (m: Measured) => median(m.steps.slice(Math.min(WARM, m.steps.length - 1)));

/** Largest relative difference between losses of the same step, over all engines and what is known of the model. */
export function disagreement(spec: Spec, engines: readonly Named[]): number {
  const lists = [...engines.map((e) => e.losses), expected(spec)].filter((l) => l.length);
  let worst = 0;
  for (const list of lists)
    list.slice(0, lists[0].length).forEach((loss, i) => {
      const apart = Math.abs(loss / lists[0][i] - 1);
      worst = Math.max(worst, Number.isFinite(apart) ? apart : Number.POSITIVE_INFINITY);
    });
  return worst;
}

/** The known losses, where the sizes are those they were taken at. */
function expected(spec: Spec): number[] {
  const { depth, batch } = specOf(spec.model);
  return spec.depth === depth && spec.batch === batch ? knownLosses[spec.model] : [];
}

/** The printed comparison: a row for each engine, ratios against the first. */
export function report(spec: Spec, floor: FloorResult, engines: readonly Named[]): string {
  const flops = modelFlops(spec);
  const best = floor.tiles
    .map(({ name, rates }) => ({ name, rate: median(rates) }))
    .reduce((a, b) => (b.rate > a.rate ? b : a));
  const floorMs = flops.step / best.rate / 1e6;
  const ours = stepMs(engines[0]);
  const rows = engines.map((e) => row(e, flops, ours, floorMs));
  const head = [
    'engine',
    'step ms',
    'range',
    'engine / ours',
    'step / floor',
    'forward ms',
    'GFLOP/s',
    'peak MB',
    ...Object.keys(engines[0].perStep),
  ];
  const apart = disagreement(spec, engines);
  return [
    '',
    `${spec.model}: ${spec.depth} blocks, batch ${spec.batch}, ${(flops.step / 1e9).toFixed(3)} GFLOP a step, on ${floor.adapter}`,
    `floor: ${floorMs.toFixed(0)} ms at ${best.rate.toFixed(2)} GFLOP/s, the best of ${floor.tiles.length} tiles (${best.name}) on ${floor.shape.join('x')}`,
    table([head, ...rows]),
    `losses of ${engines[0].name}: ${engines[0].losses.map((l) => l.toFixed(6)).join(' ')}`,
    `all losses${expected(spec).length ? ' and the known ones' : ''} within ${apart.toExponential(1)} (relative): ${apart <= 1e-3 ? 'they agree' : 'THEY DO NOT AGREE'}`,
  ].join('\n');
}

function row(e: Named, flops: { step: number }, ours: number, floorMs: number): string[] {
  const ms = stepMs(e);
  const timed = e.steps.slice(Math.min(WARM, e.steps.length - 1));
  return [
    e.name,
    ms.toFixed(0),
    `${Math.min(...timed).toFixed(0)}-${Math.max(...timed).toFixed(0)}`,
    (ms / ours).toFixed(2),
    (ms / floorMs).toFixed(2),
    median(e.forwards.slice(1)).toFixed(0),
    (flops.step / ms / 1e6).toFixed(2),
    (e.peakBytes / 2 ** 20).toFixed(0),
    ...Object.values(e.perStep).map(String),
  ];
}

function table(rows: readonly string[][]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((r) => r[c].length)));
  return rows
    .map((r) => r.map((cell, c) => (c ? cell.padStart(widths[c]) : cell.padEnd(widths[c]))).join('  '))
    .join('\n');
}
