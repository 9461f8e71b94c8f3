import type { Settings } from '../../models/describe.ts';
import type { Method } from '../../models/methods/method.ts';
import type { Model } from '../../models/model.ts';
import { headParameters } from '../../models/tasks/index.ts';
import type { Estimate, Split } from '../protocol.ts';
import { GPU_CACHE_BYTES } from '../session/features.ts';
import { type Costs, costsOf } from '../session/programs.ts';

/** Multiply-adds a millisecond that were reached on this machine; null before anything was timed. */
export interface Speed {
  readonly prefix: number | null;
  readonly step: number | null;
}

/** Bytes of a key with its shape in a safetensors header, about. */
const headerBytes = 140;

/** Steps of a run over `train` pictures. */
export function stepsOf(settings: Settings, train: number): number {
  return Math.max(1, Math.round(((settings.epochs as number) * train) / (settings.batch_size as number)));
}

/** Rows of cached features that a run keeps: augmented views of the training pictures, and the others once. */
export function rowsOf(settings: Settings, { train, val, test }: Record<Split, number>): number {
  return train * (1 + ((settings.augment ?? 0) as number)) + val + test;
}

/** GPU bytes of a run with so many rows of cached features. */
export function memoryOf(costs: Costs, rows: number): Estimate['memory'] {
  const weights = costs.weightBytes;
  const optimiser = costs.trainable * 4 * 3;
  const cache = Math.min(GPU_CACHE_BYTES, costs.cacheBytesPerSample * rows);
  return {
    weights,
    activations: costs.arenaBytes,
    optimiser,
    cache,
    total: weights + costs.arenaBytes + optimiser + cache,
  };
}

/** The cost of a plan, from shapes alone: nothing runs. Throws what attaching the method throws. */
export function estimateOf(
  { model, method, settings }: { model: Model; method: Method; settings: Settings },
  data: { classes: number; counts: Record<Split, number> },
  machine: { limit: number; speed: Speed; emulated: boolean },
): Estimate {
  const attachment = method.attach(model, settings);
  const costs = costsOf(
    { model: model.holding(settings), attachment, classes: data.classes, settings },
    machine.limit,
  );
  const { train } = data.counts;
  const batch = settings.batch_size as number;
  const steps = stepsOf(settings, train);
  const rows = rowsOf(settings, data.counts);
  const prefixOfStep = costs.prefixFlops * batch;
  const tensors = attachment.parameters.length + headParameters(model, data.classes).length;
  const { speed } = machine;
  const seconds =
    speed.step && speed.prefix
      ? (steps * costs.stepFlops) / speed.step / 1000 + (rows * costs.prefixFlops) / speed.prefix / 1000
      : null;
  return {
    trainableParameters: costs.trainable,
    totalParameters: model.parameterCount + costs.trainable,
    memory: memoryOf(costs, rows),
    fileBytes: costs.trainable * 4 + tensors * headerBytes,
    seconds,
    steps,
    frozenShare: prefixOfStep / Math.max(1, prefixOfStep + costs.stepFlops),
    warnings: [...warningsOf(data, settings, machine), ...recomputeNote(costs)],
    targets: attachment.targets,
  };
}

function recomputeNote({ stepFlops, recomputedFlops }: Costs): string[] {
  if (!recomputedFlops) return [];
  const more = Math.ceil((100 * recomputedFlops) / (stepFlops - recomputedFlops));
  return [`To stay within the memory limit each step does ${more} % more arithmetic.`];
}

function warningsOf(
  { classes, counts }: { classes: number; counts: Record<Split, number> },
  settings: Settings,
  { emulated }: { emulated: boolean },
): string[] {
  const warnings: string[] = [];
  if (classes < 2)
    warnings.push('There is one class only, so there is nothing to tell apart. Add a second one.');
  if (counts.train < classes * 5)
    warnings.push('There are fewer than five pictures a class to train on. Twenty or more are better.');
  if (counts.val === 0)
    warnings.push('There is no validation picture, so the best moment to stop cannot be seen.');
  if (emulated)
    warnings.push(
      'The graphics are emulated on the processor here, which is slow. Expect minutes, not seconds.',
    );
  if ((settings.batch_size as number) > counts.train)
    warnings.push('The batch is larger than the training set: each step sees pictures twice.');
  return warnings;
}
