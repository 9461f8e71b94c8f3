import { BindingError, MemoryError, MemoryLimitError, sizeOf } from '../../gpu-shaders/index.ts';
import type { Settings } from '../../models/describe.ts';
import type { Attachment, Method } from '../../models/methods/method.ts';
import { pictureOf } from '../../models/methods/picture.ts';
import type { Model } from '../../models/model.ts';
import type { Task } from '../../models/tasks/index.ts';
import type { Estimate, Split } from '../protocol.ts';
import { GPU_CACHE_BYTES } from '../session/features.ts';
import { type Costs, costsOf } from '../session/programs.ts';
import { HEAVY, offersOf } from './offers.ts';

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
  // Values, gradients and two moments; in parts the gradients' sums too.
  const optimiser = costs.trainable * 4 * (costs.parts > 1 ? 5 : 4);
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
  data: { classes: number; counts: Record<Split, number>; task: Task },
  machine: { limit: number; speed: Speed; emulated: boolean },
): Estimate {
  const attachment = method.attach(model, settings);
  const { classes } = data;
  const costsUnder = (s: Settings, limit = machine.limit) =>
    costsOf(
      { model: model.holding(s), attachment: method.attach(model, s), classes, settings: s, task: data.task },
      limit,
    );
  const { costs, problem } = costsOrProblem(settings, costsUnder);
  const { train } = data.counts;
  const batch = settings.batch_size as number;
  const steps = stepsOf(settings, train);
  const rows = rowsOf(settings, data.counts);
  const prefixOfStep = costs.prefixFlops * batch;
  const tensors = attachment.parameters.length + data.task.head(model, data.classes).length;
  const { speed } = machine;
  const seconds =
    speed.step && speed.prefix
      ? (steps * costs.stepFlops) / speed.step / 1000 + (rows * costs.prefixFlops) / speed.prefix / 1000
      : null;
  const memory = memoryOf(costs, rows);
  const heavy = memory.total > HEAVY;
  const offers =
    problem || heavy
      ? offersOf({
          model,
          settings,
          total: problem ? null : memory.total,
          activations: costs.arenaBytes,
          totalOf: (s) => fitting(() => memoryOf(costsUnder(s), rowsOf(s, data.counts)).total),
        })
      : [];
  return {
    trainableParameters: costs.trainable,
    totalParameters: model.parameterCount + costs.trainable,
    memory,
    fileBytes: fileBytesOf(method, attachment, settings, costs.trainable) + tensors * headerBytes,
    seconds,
    steps,
    frozenShare: prefixOfStep / Math.max(1, prefixOfStep + costs.stepFlops),
    warnings: [
      ...warningsOf(data, settings, machine),
      ...recomputeNote(costs),
      ...(heavy ? [heavyNote(memory.total)] : []),
    ],
    problem,
    offers,
    targets: attachment.targets,
    picture: pictureOf(method, attachment, model),
  };
}

const isMemoryProblem = (error: unknown): error is Error =>
  error instanceof MemoryError || error instanceof BindingError || error instanceof MemoryLimitError;

/** Null where a computation does not fit; throws what else goes wrong. */
function fitting<T>(compute: () => T): T | null {
  try {
    return compute();
  } catch (error) {
    if (isMemoryProblem(error)) return null;
    throw error;
  }
}

/** The costs under the machine's limits; where they cannot be kept, those without any, and why. */
function costsOrProblem(
  settings: Settings,
  costsUnder: (settings: Settings, limit?: number) => Costs,
): { costs: Costs; problem: string | null } {
  try {
    return { costs: costsUnder(settings), problem: null };
  } catch (error) {
    if (!isMemoryProblem(error)) throw error;
    return {
      costs: costsUnder({ ...settings, memory_limit: 0 }, Number.POSITIVE_INFINITY),
      problem: error.message,
    };
  }
}

const heavyNote = (total: number) =>
  `The run takes ${(total / 1e9).toFixed(1)} GB of graphics memory. A browser does not tell how much there is; where it is too little the run ends with an error.`;

/** Bytes of the trained numbers in the file: floats, but for what a method packs. */
function fileBytesOf(method: Method, attachment: Attachment, settings: Settings, trainable: number): number {
  if (!method.packed) return trainable * 4;
  const own = attachment.parameters.reduce((n, { shape }) => n + sizeOf(shape), 0);
  return (trainable - own) * 4 + method.packed.bytes(attachment, settings);
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
