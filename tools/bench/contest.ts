import { fileURLToPath } from 'node:url';
import type { Entry, Outcome } from './browser.ts';
import type { Command } from './command.ts';
import type { Variant } from './engine.ts';
import type { FloorResult } from './floor.page.ts';
import { type Measured, WARM } from './measure.ts';
import { knownLosses, type ModelName, modelFlops, type Spec, specOf } from './model.ts';
import { peerPage } from './peers.ts';

export const page = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Our ways to a step; each leaves out more than the one before it. The first does what the peers do. */
export const variants: { name: string; variant: Variant }[] = [
  { name: 'every row computed', variant: { narrow: false, cached: false } },
  { name: 'unread rows left out', variant: { narrow: true, cached: false } },
  { name: 'unread rows left out, prefix cached', variant: { narrow: true, cached: true } },
];

/** One engine's part in a contest. */
export interface Run {
  workload: string;
  engine: 'graft' | 'jax-js' | 'tfjs';
  /** Which of our ways; absent for the others. */
  variant?: string;
  median_ms: number;
  /** Fastest and slowest timed step. */
  range_ms: [number, number];
  losses: number[];
  forward_ms: number | null;
  /** The GPU process's processor time in a step; null where it cannot be read. */
  processor_ms: number | null;
  peak_bytes: number;
  /** Ours: what the plan says. */
  planned_bytes?: number;
  planned_submits?: number;
  encode_ms?: number;
  /** What the last step asked of WebGPU. */
  per_step: Measured['perStep'];
  /** Buffers, bind groups and pipelines made in step 3 and later. */
  made_late: number;
  kernels?: Measured['kernels'];
}

export interface Floor {
  /** What the fastest kernel kept up, as the median over the timed rounds: a step's operations in each. */
  gflops: number;
  tile: string;
  shape: [number, number, number];
  /**
   * Of the floor that our step with every row computed reaches: the median over the rounds of floor time over step time,
   * both of the same round, so that a slow moment of the machine is on both sides of the division.
   */
  share: number;
  /** The same of each round. */
  shares: number[];
  /** The same by the GPU process's processor time, which other work on the machine hardly touches; null where unknown. */
  processor_share: number | null;
  /** The best rate of each tile while the engines warmed up. */
  tiles: { name: string; gflops: number }[];
}

export interface ContestResult {
  workload: string;
  spec: Spec;
  /** Model operations of a step. */
  flops: number;
  adapter: string;
  runs: Run[];
  floor: Floor;
  /** Largest relative difference between losses of the same step, over all engines and what is known. */
  apart: number;
  left_out: { engine: string; reason: string }[];
}

/** The floor first, then ours, then the peers. */
export function entriesOf(spec: Spec, { steps, peers, profile, memory }: Command): Entry[] {
  const limited = { narrow: false, cached: false, memory: (memory ?? 0) * 1e6 };
  const ours = [
    ...variants,
    ...(memory ? [{ name: `every row, values within ${memory} MB`, variant: limited }] : []),
  ];
  const shape = [spec.batch * spec.tokens, spec.dim, spec.mlp];
  return [
    { name: 'floor', file: page('floor.page.ts'), args: { shape, steps, flops: modelFlops(spec).step } },
    ...ours.map(({ name, variant }: { name: string; variant: Variant }) => ({
      name,
      file: page('lora.page.ts'),
      args: { spec, steps, variant, part: 'step', profile },
      // A limit may be less than a step can do with.
      optional: variant.memory !== undefined,
    })),
    ...peers.map((p) => ({
      name: p,
      file: peerPage(p),
      args: { steps, device: 'webgpu' },
      spec,
      optional: true,
    })),
  ];
}

export function contestSpec(model: ModelName, { full, sizes }: Pick<Command, 'full' | 'sizes'>): Spec {
  return specOf(model, full ? 'full' : 'reduced', sizes);
}

/** `vit`, `vit-full`, or `vit-other` for sizes of the caller's own. */
export function workloadOf(model: ModelName, { full, sizes }: Pick<Command, 'full' | 'sizes'>): string {
  if (Object.keys(sizes).length) return `${model}-other`;
  return full ? `${model}-full` : model;
}

export const median = (xs: readonly number[]): number => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** Steps after the warm-up, or the last one where there are no more. */
const timed = (list: readonly number[], steps: number) => list.slice(Math.min(WARM, steps - 1), steps);

export function contestResult(
  workload: string,
  spec: Spec,
  entries: readonly Entry[],
  [floorOutcome, ...outcomes]: readonly Outcome[],
): ContestResult {
  const there = outcomes.map((o, i) => ({
    ...o,
    entry: entries[i + 1],
    ours: entries[i + 1].file === page('lora.page.ts'),
  }));
  const runs = there
    .filter((o) => o.error === undefined)
    .map(({ result, processor, entry, ours }) =>
      runOf(
        workload,
        result as Measured,
        processor,
        ours ? 'graft' : (entry.name as Run['engine']),
        entry.name,
      ),
    );
  const known = workload === spec.model ? knownLosses[spec.model] : [];
  const flops = modelFlops(spec).step;
  const found = floorOutcome.result as FloorResult;
  return {
    workload,
    spec,
    flops,
    adapter: found.adapter,
    runs,
    floor: floorOf(flops, floorOutcome, there[0]),
    apart: disagreement(
      known,
      runs.map((r) => r.losses),
    ),
    left_out: there
      .filter((o) => o.error !== undefined)
      .map(({ entry, error }) => ({ engine: entry.name, reason: error! })),
  };
}

/** The floor, and what a step of ours reaches of it round by round. */
function floorOf(flops: number, floor: Outcome, ours: Outcome): Floor {
  const { tiles, best, shape } = floor.result as FloorResult;
  const { steps } = ours.result as Measured;
  const rounds = steps.length;
  const shares = timed(steps, rounds).map((ms, i) => flops / best.rates[i] / 1e6 / ms);
  const [own, busy] = [floor.processor, ours.processor].map((list) => timed(list, rounds));
  const byProcessor = busy.map((ms, i) => (own[i] * flops) / best.flops / ms);
  return {
    gflops: median(best.rates),
    tile: best.name,
    shape,
    share: median(shares),
    shares,
    processor_share: byProcessor.length ? median(byProcessor) : null,
    tiles: tiles
      .map(({ name, rates }) => ({ name, gflops: Math.max(...rates) }))
      .sort((a, b) => b.gflops - a.gflops),
  };
}

function runOf(
  workload: string,
  m: Measured,
  processor: readonly number[],
  engine: Run['engine'],
  name: string,
): Run {
  const steps = timed(m.steps, m.steps.length);
  const busy = timed(processor, m.steps.length);
  return {
    workload,
    engine,
    ...(engine === 'graft' ? { variant: name } : {}),
    median_ms: median(steps),
    range_ms: [Math.min(...steps), Math.max(...steps)],
    losses: m.losses,
    forward_ms: m.forwards.length > 1 ? median(m.forwards.slice(1)) : null,
    processor_ms: busy.length ? median(busy) : null,
    peak_bytes: m.peakBytes,
    ...(m.plannedBytes === undefined ? {} : { planned_bytes: m.plannedBytes }),
    ...(m.plannedSubmits === undefined ? {} : { planned_submits: m.plannedSubmits }),
    ...(m.encodeMs === undefined ? {} : { encode_ms: m.encodeMs }),
    per_step: m.perStep,
    made_late: m.madeLate,
    ...(m.kernels ? { kernels: m.kernels } : {}),
  };
}

/** A loss that is no number never agrees. */
export function disagreement(known: readonly number[], losses: readonly (readonly number[])[]): number {
  const lists = [...losses, known].filter((l) => l.length);
  let worst = 0;
  for (const list of lists)
    list.slice(0, lists[0].length).forEach((loss, i) => {
      const apart = Math.abs(loss / lists[0][i] - 1);
      worst = Math.max(worst, Number.isFinite(apart) ? apart : Number.POSITIVE_INFINITY);
    });
  return worst;
}
