import { type Entry, runTogether } from './browser.ts';
import type { Command } from './command.ts';
import { disagreement, median, page } from './contest.ts';
import { type Measured, WARM } from './measure.ts';
import { type ModelName, type Spec, specOf } from './model.ts';

/** Adapters in the last third of the blocks: what a second epoch saves by what the first one kept. */
export interface EpochsResult {
  workload: ModelName;
  spec: Spec;
  /** A batch's step with the prefix in it, without it, and the prefix alone, on our engine. */
  ms: { whole: number; cached: number; prefix: number };
  flops: { whole: number; cached: number; prefix: number };
  /** The prefix of the same batch through ONNX Runtime's WASM; null where it did not run. */
  wasm_prefix_ms: number | null;
  wasm_error?: string;
  /** Largest difference between its first values and ours, relative to the largest. */
  wasm_apart: number | null;
  /** 1 - cached / whole, by operations and by the clock. */
  predicted: number;
  saved: number;
  apart: number;
}

const DEPTH: Record<ModelName, number> = { vit: 12, bert: 6 };

export async function measureEpochs(workload: ModelName, { steps, full }: Command): Promise<EpochsResult> {
  const blocks = DEPTH[workload];
  const spec = specOf(workload, full ? 'full' : 'reduced', { blocks, adaptedFrom: (2 * blocks) / 3 });
  const ours = (name: string, cached: boolean, part: 'step' | 'prefix'): Entry => ({
    name,
    file: page('lora.page.ts'),
    args: { spec, steps, variant: { narrow: true, cached }, part, profile: false },
  });
  const wasm = { what: 'prefix', spec, device: 'wasm', rounds: steps };
  const outcomes = await runTogether([
    ours('whole', false, 'step'),
    ours('cached', true, 'step'),
    ours('prefix', true, 'prefix'),
    { name: 'wasm', file: page('ort.page.ts'), args: wasm, optional: true },
  ]);
  const [whole, cached, prefix, other] = outcomes.map((o) => o.result as Measured | null);
  const step = (m: Measured) => median(m.steps.slice(Math.min(WARM, m.steps.length - 1)));
  const pass = (m: Measured) => median(m.forwards.slice(Math.min(1, m.forwards.length - 1)));
  const ms = { whole: step(whole!), cached: step(cached!), prefix: pass(prefix!) };
  const flops = {
    whole: whole!.flops!.step,
    cached: cached!.flops!.step,
    prefix: cached!.flops!.prefix,
  };
  const { error } = outcomes[3];
  return {
    workload,
    spec,
    ms,
    flops,
    wasm_prefix_ms: other ? pass(other) : null,
    ...(error === undefined ? {} : { wasm_error: error }),
    wasm_apart: other ? largestDifference(other.values!, prefix!.values!) : null,
    predicted: 1 - flops.cached / flops.whole,
    saved: 1 - ms.cached / ms.whole,
    apart: disagreement([], [whole!.losses, cached!.losses]),
  };
}

/** Largest difference of two lists, relative to the largest value. */
export function largestDifference(a: readonly number[], b: readonly number[]): number {
  const most = Math.max(...a.map(Math.abs), 1e-30);
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]))) / most;
}

export function epochsTable(results: readonly EpochsResult[]): string[][] {
  return [
    [
      'a batch',
      'step with the prefix, ms',
      'over the cached prefix, ms',
      'saved',
      'FLOP count predicts',
      'of that',
      'prefix alone, ms',
      'prefix through WASM, ms',
    ],
    ...results.map((r) => [
      `${r.workload}, ${r.spec.depth} blocks, adapters in the last ${r.spec.depth - r.spec.adaptedFrom}, batch ${r.spec.batch}`,
      r.ms.whole.toFixed(0),
      r.ms.cached.toFixed(0),
      `${(100 * r.saved).toFixed(1)} %`,
      `${(100 * r.predicted).toFixed(1)} %`,
      `${((100 * r.saved) / r.predicted).toFixed(0)} %`,
      r.ms.prefix.toFixed(0),
      r.wasm_prefix_ms === null ? `not run: ${r.wasm_error}` : r.wasm_prefix_ms.toFixed(0),
    ]),
  ];
}
