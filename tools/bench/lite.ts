import { type Entry, runTogether } from './browser.ts';
import type { Command } from './command.ts';
import { median, page, type Run } from './contest.ts';
import { largestDifference } from './epochs.ts';
import type { LiteArguments } from './lite.page.ts';
import { type Measured, WARM } from './measure.ts';

/** The default backbone beside ONNX Runtime, forward pass alone, and its training step. */
export interface LiteResult {
  side: number;
  batch: number;
  forward: {
    engine: string;
    /** Median of the passes after the first. */
    ms: number | null;
    images_per_second: number | null;
    /** Largest difference of the features from ours, relative to the largest. */
    apart: number | null;
    error?: string;
  }[];
  step: {
    variant: string;
    ms: number;
    images_per_second: number;
    losses: number[];
    peak_bytes: number;
    flops: number;
    made_late: number;
    per_step: Run['per_step'];
    kernels?: Run['kernels'];
  }[];
}

const SIDE = 224;

export async function measureLite({ steps, sizes, profile }: Command): Promise<LiteResult> {
  const batch = sizes.batch ?? 8;
  const ours = (name: string, part: LiteArguments['part'], cached: boolean): Entry => ({
    name,
    file: page('lite.page.ts'),
    args: { steps, side: SIDE, batch, part, cached, profile } satisfies LiteArguments,
  });
  const ort = (name: string, device: string): Entry => ({
    name,
    file: page('ort.page.ts'),
    // Its shaders take minutes for a batch on a software adapter.
    args: { what: 'lite', device, rounds: device === 'webgpu' ? 2 : steps, batch, side: SIDE },
    optional: true,
  });
  const entries = [
    ours('ours, WebGPU', 'forward', false),
    ort('ONNX Runtime Web, WASM', 'wasm'),
    ort('ONNX Runtime Web, WebGPU', 'webgpu'),
    ours('over the cached prefix', 'step', true),
    ours('with the prefix in each step', 'step', false),
  ];
  const outcomes = await runTogether(entries);
  const [first] = outcomes.map((o) => o.result as Measured);
  return {
    side: SIDE,
    batch,
    forward: entries.slice(0, 3).map(({ name: engine }, i) => {
      const { error } = outcomes[i];
      if (error !== undefined) return { engine, ms: null, images_per_second: null, apart: null, error };
      const m = outcomes[i].result as Measured;
      const ms = median(m.forwards.slice(Math.min(1, m.forwards.length - 1)));
      return {
        engine,
        ms,
        images_per_second: (1000 * batch) / ms,
        apart: i ? largestDifference(m.values!, first.values!) : 0,
      };
    }),
    step: entries.slice(3).map(({ name: variant }, i) => {
      const m = outcomes[3 + i].result as Measured;
      const ms = median(m.steps.slice(Math.min(WARM, m.steps.length - 1)));
      return {
        variant,
        ms,
        images_per_second: (1000 * batch) / ms,
        losses: m.losses,
        peak_bytes: m.peakBytes,
        flops: m.flops!.step,
        made_late: m.madeLate,
        per_step: m.perStep,
        ...(m.kernels ? { kernels: m.kernels } : {}),
      };
    }),
  };
}

export function liteForwardTable({ forward }: LiteResult): string[][] {
  return [
    ['forward pass', 'ms a batch', 'images/s', 'features from ours'],
    ...forward.map((f) =>
      f.ms === null
        ? [f.engine, `not run: ${f.error}`, '–', '–']
        : [
            f.engine,
            f.ms.toFixed(0),
            f.images_per_second!.toFixed(1),
            f.apart ? f.apart.toExponential(1) : '–',
          ],
    ),
  ];
}

export function liteStepTable({ step }: LiteResult): string[][] {
  return [
    [
      'training step',
      'ms',
      'images/s',
      'GFLOP',
      'peak MB',
      'made in step 3 and later',
      'dispatches',
      'submits',
    ],
    ...step.map((s) => [
      s.variant,
      s.ms.toFixed(0),
      s.images_per_second.toFixed(1),
      (s.flops / 1e9).toFixed(2),
      (s.peak_bytes / 1e6).toFixed(0),
      String(s.made_late),
      String(s.per_step.dispatches),
      String(s.per_step.submits),
    ]),
  ];
}
