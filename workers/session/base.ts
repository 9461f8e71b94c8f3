import {
  broadcastTo,
  cast,
  compile,
  constant,
  copy,
  crossEntropy,
  div,
  gradients,
  input,
  linear,
  matmul,
  maximum,
  mul,
  reduceSum,
  reshape,
  type State,
  sizeOf,
  slice,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { linearProbe } from '../../models/methods/linearProbe.ts';
import { type Base, MethodError } from '../../models/methods/method.ts';
import type { Model } from '../../models/model.ts';
import type { Interception } from '../../models/scope.ts';
import { inputs, type Task } from '../../models/tasks/index.ts';
import { stacked } from './batch.ts';
import type { Dataset } from './ports.ts';
import type { Probe } from './probe.ts';
import { PREFIX_BATCH } from './programs.ts';

/** Training pictures that a method is calibrated on. */
const CALIBRATION = 64;
/** Bytes of matrices that one calibration program may give. */
const OUTPUT_BYTES = 64 * 2 ** 20;

/** What the groundwork of a method stands on. */
export interface Ground {
  state: State;
  model: Model;
  dataset: Dataset;
  size: number;
  task: Task;
  probe(): Probe;
}

/** The frozen model as a method may question it. Matrices are summed in float64 over batches of the first pictures. */
export function groundwork(ground: Ground): Base {
  const { model } = ground;
  return {
    weight: (path) => model.f32(path),
    inputMoments: (paths) => inParts(paths, momentBytes(model), (part) => inputMoments(ground, part)),
    gradients: (paths) => inParts(paths, weightBytes(model), (part) => weightGradients(ground, part)),
  };
}

type Matrices = Map<string, Float32Array>;

const shapeOf = (model: Model, path: string) => {
  const found = model.modules.find((m) => m.path === path);
  if (!found) throw new MethodError(`There is no module '${path}' to calibrate.`);
  return found.shape;
};
const weightBytes = (model: Model) => (path: string) => 4 * sizeOf(shapeOf(model, path));
const momentBytes = (model: Model) => (path: string) => 4 * shapeOf(model, path)[1] ** 2;

/** Few modules at a time, so that what is read back stays small. */
async function inParts(
  paths: readonly string[],
  bytesOf: (path: string) => number,
  run: (part: string[]) => Promise<Matrices>,
): Promise<Matrices> {
  const found: Matrices = new Map();
  let part: string[] = [];
  let bytes = 0;
  const flush = async () => {
    for (const [path, matrix] of part.length ? await run(part) : []) found.set(path, matrix);
    part = [];
    bytes = 0;
  };
  for (const path of paths) {
    if (bytes + bytesOf(path) > OUTPUT_BYTES) await flush();
    part.push(path);
    bytes += bytesOf(path);
  }
  await flush();
  return found;
}

/** xᵀx of each module's input over all rows; the weights of pictures leave out what only fills the last batch. */
async function inputMoments(ground: Ground, paths: readonly string[]): Promise<Matrices> {
  const weights = input(inputs.weights, [PREFIX_BATCH]);
  const outputs: Record<string, Tensor> = {};
  const read = ground.model.inputs(PREFIX_BATCH, ground.size);
  ground.model.trace(read, [
    {
      layer({ path, kind, x, options }) {
        if (!paths.includes(path) || path in outputs) return null;
        if (
          kind === 'conv2d' &&
          (shapeOf(ground.model, path)
            .slice(2)
            .some((k) => k > 1) ||
            options.groups)
        )
          throw new MethodError(
            `The inputs of '${path}' have no second moment: only linear layers and 1×1 convolutions do.`,
          );
        const perSample = sizeOf(x.shape) / PREFIX_BATCH / x.shape.at(-1)!;
        const flat = reshape(x, [PREFIX_BATCH * perSample, x.shape.at(-1)!]);
        const counted = rowsThatCount(read.mask, weights, perSample);
        const weighted = reshape(
          mul(reshape(x, [PREFIX_BATCH, perSample, x.shape.at(-1)!]), counted),
          flat.shape,
        );
        outputs[path] = copy(matmul(weighted, flat, { ta: true }));
        outputs[`${path}${ROWS}`] = copy(reduceSum(counted));
        return null;
      },
    },
  ]);
  const sums = await summed(ground, outputs);
  return new Map(
    Object.keys(outputs).flatMap((path) => {
      const rows = sums.get(`${path}${ROWS}`);
      return rows ? [[path, Float32Array.from(sums.get(path)!, (v) => v / rows[0])] as const] : [];
    }),
  );
}

/** Ends the name of an output that counts the rows of another. */
const ROWS = '#rows';

/** Weights [B, rows, 1]: of a text's rows those count that are tokens, not padding. */
function rowsThatCount(mask: Tensor | undefined, weights: Tensor, perSample: number): Tensor {
  const each = reshape(weights, [PREFIX_BATCH, 1, 1]);
  return mask && mask.shape[1] === perSample
    ? mul(reshape(mask, [PREFIX_BATCH, perSample, 1]), each)
    : broadcastTo(each, [PREFIX_BATCH, perSample, 1]);
}

/** d(mean loss)/dW of the frozen model. */
async function weightGradients(ground: Ground, paths: readonly string[]): Promise<Matrices> {
  const leaves = new Map<string, Tensor>();
  const open: Interception = {
    parameter(path, frozen) {
      const module = path.replace(/\.weight$/, '');
      if (module === path || !paths.includes(module)) return null;
      if (!leaves.has(module)) leaves.set(module, copy(cast(frozen, 'f32')));
      return leaves.get(module)!;
    },
  };
  const loss = ground.task.targets(1).length ? tokenLoss(ground, open) : probeLoss(ground, open);
  const found = gradients(loss, [...leaves.values()]);
  const outputs = Object.fromEntries([...leaves.keys()].map((path, i) => [path, copy(found[i])]));
  const sums = await summed(ground, outputs);
  const count = calibrationSamples(ground).length;
  return new Map([...sums].map(([path, m]) => [path, Float32Array.from(m, (v) => v / count)]));
}

/** Sum over the samples of the loss under the probe's head: the head that training starts from is zero and would tell nothing. */
function probeLoss(ground: Ground, open: Interception): Tensor {
  const { model, dataset } = ground;
  const { features } = model.trace(model.inputs(PREFIX_BATCH, ground.size), [open]);
  const [w, b] = plainHead(ground.probe());
  const labels = input(inputs.labels, [PREFIX_BATCH], { dtype: 'u32' });
  const weights = input(inputs.weights, [PREFIX_BATCH]);
  const logits = linear(
    features,
    constant(w, [dataset.classes.length, features.shape[1]]),
    constant(b, [b.length]),
  );
  return reduceSum(crossEntropy(logits, labels, { weights }));
}

/** Sum over the samples of a language model's loss, each the mean over its tokens. Throws `MethodError` for a new head. */
function tokenLoss({ model, task, size }: Ground, open: Interception): Tensor {
  if (task.head(model, 2).length)
    throw new MethodError(
      'The gradients of the frozen weights are all zero under a head that has learnt nothing yet. Choose weights by another criterion.',
    );
  const shape = { classes: 0, batch: PREFIX_BATCH, size, labelSmoothing: 0, training: false };
  const { sums } = task.trace(model, linearProbe.attach(model, {}), shape, [open]);
  const column = (i: number) => slice(sums!, [0, i], [PREFIX_BATCH, 1]);
  const weights = reshape(input(inputs.weights, [PREFIX_BATCH]), [PREFIX_BATCH, 1]);
  return reduceSum(mul(div(column(0), maximum(column(2), 1)), weights));
}

/** The probe's head on features as they come, its standardisation folded in. */
export function plainHead(probe: Probe): [Float32Array, Float32Array] {
  const { weight, bias, mean, deviation, classes } = probe;
  const width = mean.length;
  const w = Float32Array.from(weight, (v, i) => v / deviation[i % width]);
  const b = Float32Array.from({ length: classes }, (_, c) =>
    mean.reduce((sum, m, i) => sum - w[c * width + i] * m, bias[c]),
  );
  return [w, b];
}

function calibrationSamples({ dataset }: Ground): number[] {
  const train = dataset.samples.flatMap((s, i) => (s.split === 'train' && s.label >= 0 ? [i] : []));
  // Evenly spread, because data sets come class by class.
  const count = Math.min(CALIBRATION, train.length);
  return Array.from({ length: count }, (_, i) => train[Math.floor((i * train.length) / count)]);
}

/** Sums of the outputs over all calibration batches. */
async function summed(ground: Ground, outputs: Record<string, Tensor>): Promise<Map<string, Float64Array>> {
  const { state, dataset, size, model } = ground;
  const program = await compile(state, { label: 'calibrate', outputs });
  const sums = new Map<string, Float64Array>();
  const samples = calibrationSamples(ground);
  for (let from = 0; from < samples.length; from += PREFIX_BATCH) {
    const batch = samples.slice(from, from + PREFIX_BATCH);
    const sample = [...model.sampleInputs(size), ...ground.task.targets(size)];
    const values = stacked(sample, await dataset.load(batch, size, null), PREFIX_BATCH);
    for (const [name, { data }] of Object.entries(values)) if (program.input(name)) program.write(name, data);
    const filled = Array.from({ length: PREFIX_BATCH }, (_, i) => batch[i] ?? batch[0]);
    program.write(
      inputs.labels,
      Uint32Array.from(filled, (i) => dataset.samples[i].label),
    );
    program.write(
      inputs.weights,
      Float32Array.from(filled, (_, i) => (i < batch.length ? 1 : 0)),
    );
    program.run();
    const found = await program.collect(Object.keys(outputs));
    for (const [path, values] of Object.entries(found)) {
      const sum = sums.get(path) ?? new Float64Array(values.length);
      for (let i = 0; i < values.length; i++) sum[i] += values[i];
      sums.set(path, sum);
    }
  }
  program.destroy();
  return sums;
}
