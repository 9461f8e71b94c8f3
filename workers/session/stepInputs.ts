import type { Program } from '../../gpu-shaders/index.ts';
import { hyperVector } from '../../gpu-shaders/train/optimiser.ts';
import { hash32, hashText, uniform } from '../../models/data/hash.ts';
import { inputs } from '../../models/tasks/index.ts';
import type { Row } from './features.ts';
import type { Order } from './order.ts';
import type { Dataset } from './ports.ts';
import { optimiserOf, partsOf, type RunShape } from './programs.ts';

/** A step, or the part of one that is computed at a time. */
export interface StepAt {
  step: number;
  /** Samples of the whole step, by their place among those trained on. */
  order: ReturnType<Order['at']>;
  knobs: Readonly<Record<string, number>>;
  lr: number;
  part: number;
  of: number;
}

/** Writes what a step reads besides cached features; gives the rows of those. A function of seed and step alone. */
export function writeStep(
  program: Program,
  shape: RunShape,
  dataset: Dataset,
  train: readonly number[],
  { step, order, knobs, lr, part, of }: StepAt,
): Row[] {
  const { settings, attachment } = shape;
  const seed = settings.seed as number;
  const views = (settings.augment ?? 0) as number;
  const { parts, rows } = partsOf(settings);
  const batch = order.slice(part * rows, (part + 1) * rows).map(({ position, epoch }) => ({
    sample: train[position],
    // Each epoch sees another view, and the sample as it is in every (views + 1)-th.
    view: views ? (epoch + hash32(train[position], seed)) % (views + 1) : 0,
  }));
  const labels = new Uint32Array(rows);
  labels.set(batch.map((r) => dataset.samples[r.sample].label));
  program.write(inputs.labels, labels);
  program.write(inputs.weights, new Float32Array(rows).fill(1 / order.length, 0, batch.length));
  program.write(inputs.random, Uint32Array.of(seed, step, ...(parts > 1 ? [part] : [])));
  for (const k of attachment.knobs) program.write(`knob:${k.name}`, Float32Array.of(knobs[k.name]));
  for (const d of attachment.draws ?? []) {
    const stream = hash32(hash32(seed, hashText(d.name)), step);
    let n = 0;
    program.write(`draw:${d.name}`, Float32Array.from(d.at(step, () => uniform(stream, n++))));
  }
  const hyper = {
    lr,
    weightDecay: settings.weight_decay as number,
    clip: settings.clip as number,
    lossScale: 1,
    step,
    part: { index: of > 1 ? part : 0, of },
  };
  program.write('hyper', hyperVector(hyper, optimiserOf(settings)));
  return batch;
}
