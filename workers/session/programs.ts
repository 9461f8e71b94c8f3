import {
  byteSize,
  compile,
  copy,
  everyOptimisation,
  frozenCut,
  gradients,
  type InputAttrs,
  input,
  isFrozen,
  isInput,
  isParameter,
  isTrainable,
  nodesOf,
  type Optimisations,
  type ParameterAttrs,
  PLAIN,
  type Program,
  prepare,
  type State,
  schedule,
  shareCommon,
  substitute,
  type Target,
  type Tensor,
  workOf,
} from '../../gpu-shaders/index.ts';
import { adamw, type Optimiser } from '../../gpu-shaders/train/optimiser.ts';
import { compileTrainStep, trainablesOf } from '../../gpu-shaders/train/step.ts';
import type { SampleInput } from '../../models/backbones/backbone.ts';
import { digest, digestText } from '../../models/data/hash.ts';
import type { Settings } from '../../models/describe.ts';
import type { Attachment } from '../../models/methods/method.ts';
import type { Model } from '../../models/model.ts';
import { type BatchTrace, classification, type Task } from '../../models/tasks/index.ts';
import type { PrefixChoice } from './prefix.ts';

/** What a run's programs are made from. */
export interface RunShape {
  model: Model;
  attachment: Attachment;
  classes: number;
  settings: Settings;
  /** What is learnt; classification where it is not said. */
  task?: Task;
  /** The compiler's switches that are not at their default, which is on. */
  optimise?: Partial<Optimisations>;
}

/** Samples that the frozen prefix takes at a time. */
export const PREFIX_BATCH = 8;

export const optimiserOf = (settings: Settings): Optimiser =>
  settings.optimizer === 'sgd' ? { kind: 'sgd', momentum: 0.9 } : adamw;

export const taskOf = ({ task }: Pick<RunShape, 'task'>): Task => task ?? classification;

/** Whether every token is answered, and no sample as a whole. */
export const answersTokens = (shape: Pick<RunShape, 'task'>): boolean => taskOf(shape).targets(1).length > 0;

/** What the data set gives of one sample: the backbone's inputs, and the task's targets. */
export function sampleInputsOf(shape: RunShape): SampleInput[] {
  const size = shape.model.sizeIn(shape.settings);
  return [...shape.model.sampleInputs(size), ...taskOf(shape).targets(size)];
}

/** How a step's batch is computed: in so many parts, one after another, of so many samples; the last may have fewer. */
export function partsOf(settings: Settings): { parts: number; rows: number } {
  const batch = settings.batch_size as number;
  const rows = Math.ceil(batch / ((settings.accumulate as number) || 1));
  return { parts: Math.ceil(batch / rows), rows };
}

function traceBatch(shape: RunShape, batch: number, training: boolean): BatchTrace {
  const { model, attachment, classes, settings } = shape;
  const size = model.sizeIn(settings);
  const labelSmoothing = training ? (settings.label_smoothing as number) : 0;
  const part = training && partsOf(settings).parts > 1;
  return taskOf(shape).trace(model, attachment, { classes, batch, size, labelSmoothing, training, part });
}

export const cutName = (i: number) => `cut:${i}`;

/** A traced batch in two halves: the frozen values at the cut, and everything behind them, reading them as inputs. */
interface SplitTrace {
  cut: Tensor[];
  live: BatchTrace;
}

/**
 * Training and evaluation read the same cached rows, so they have to be cut at the same values. Where each alone would
 * be cut elsewhere, as with a method that rests on other paths than it trains on, both are cut as one graph.
 */
function splitTrace(shape: RunShape, batch: number, training: boolean): SplitTrace {
  const traces = [true, false].map((t) => traceBatch(shape, batch, t));
  const [trained, rested] = traces.map((trace) => splitAt(shape, batch, [trace]));
  const which = training ? 0 : 1;
  if (textOf(trained.cut) === textOf(rested.cut)) {
    const { cut, live } = training ? trained : rested;
    return { cut, live: live[0] };
  }
  const { cut, live } = splitAt(shape, batch, traces);
  return { cut, live: live[which] };
}

function splitAt(shape: RunShape, batch: number, traces: readonly BatchTrace[]) {
  const optimise = switchesOf(shape);
  const outputs = traces.flatMap(outputsOf);
  const values = prepare(traces.length > 1 ? shareCommon(outputs) : outputs, optimise);
  const cut = optimise.prefix ? frozenCut(values) : sampleInputs(values);
  for (const t of cut)
    if (t.shape[0] !== batch)
      throw new Error(`A frozen value [${t.shape}] of the backbone is not one row per picture.`);
  const inputs = new Map(
    cut.map((t, i) => [t, input(cutName(i), t.shape, { dtype: t.dtype, sample: true })]),
  );
  const behind = substitute(values, inputs);
  const live = traces.map((trace): BatchTrace => {
    const [loss, hits, logits, ...more] = behind.splice(0, outputsOf(trace).length);
    const sums = trace.sums && more.shift();
    return { loss, hits, logits, sums, divisor: trace.divisor && more[0], features: trace.features };
  });
  return { cut, live };
}

const outputsOf = ({ loss, hits, logits, sums, divisor }: BatchTrace): Tensor[] =>
  [loss, hits, logits, sums, divisor].filter((t) => t !== undefined);

const switchesOf = ({ optimise }: RunShape): Optimisations => ({ ...everyOptimisation, ...optimise });

const sampleInputs = (values: readonly Tensor[]) =>
  nodesOf(values)
    .map((node) => node.outputs[0])
    .filter((t) => isInput(t) && (t.node.attrs as InputAttrs).sample);

/** Bytes that the values of a training step may take; absent where there is no limit. */
const memoryOf = ({ settings }: RunShape) => ((settings.memory_limit as number) || 0) * 1e6 || undefined;

/** What a frozen prefix gives for one sample. */
export interface CutRow {
  name: string;
  /** Bytes of one sample's row. */
  bytes: number;
  /** The input of the sample that it is, where nothing is computed of it. */
  given?: string;
}

/**
 * What the frozen prefix computes for `batch` pictures: the values at the cut by `cutName`, and the frozen backbone's
 * own `features` (for the probe and the neighbours score).
 */
export function prefixOutputs(shape: RunShape, batch: number): Record<string, Tensor> {
  const values = splitTrace(shape, batch, true).cut;
  // The two traces have all of the prefix in common.
  const [features, ...cut] = prepare([frozenFeatures(shape, batch), ...values], switchesOf(shape));
  return { ...Object.fromEntries(cut.map((t, i) => [cutName(i), t])), features };
}

/** One sample's rows of the values at the cut. */
export function cutRows({ features: _, ...cut }: Record<string, Tensor>, batch: number): CutRow[] {
  return Object.entries(cut).map(([name, t]) => {
    const bytes = byteSize(t) / batch;
    return isInput(t) ? { name, bytes, given: (t.node.attrs as InputAttrs).name } : { name, bytes };
  });
}

/** The outputs that have to be computed. */
export const computedOutputs = (outputs: Record<string, Tensor>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(outputs).filter(([, t]) => !isInput(t)));

export interface PrefixProgram {
  program: Program;
  rows: CutRow[];
}

/** The prefix as a program for `PREFIX_BATCH` pictures. */
export async function compilePrefix(state: State, shape: RunShape): Promise<PrefixProgram> {
  const values = prefixOutputs(shape, PREFIX_BATCH);
  const outputs = Object.fromEntries(
    Object.entries(computedOutputs(values)).map(([name, t]) => [name, copy(t)]),
  );
  const { optimise } = shape;
  return {
    program: await compile(state, { label: 'prefix', outputs, optimise }),
    rows: cutRows(values, PREFIX_BATCH),
  };
}

/** Features of the backbone with nothing attached, sharing the batch's inputs. */
function frozenFeatures({ model, settings }: RunShape, batch: number): Tensor {
  return model.trace(model.inputs(batch, model.sizeIn(settings))).features;
}

/** Identifies what the prefix computes: the same text, the same cached features. */
export function prefixKey(shape: RunShape): string {
  return digestText(textOf(splitTrace(shape, 1, true).cut));
}

/** Names the cached features of a run: the same name, the same values to the bit. */
export function featureKey(of: {
  shape: RunShape;
  backboneHash: string;
  dataset: { readonly hash: string };
  prefix: PrefixChoice;
  kernels: Target;
}): string {
  const { shape, backboneHash, dataset, prefix, kernels } = of;
  const { settings, model } = shape;
  const augmentation = settings.augment ? `-${settings.augment}-${settings.seed}` : '';
  // The processor's values differ from the GPU's in the last bits, as do rows that a workgroup sums.
  const rows = kernels.rows === 'lone' ? '' : `-${kernels.rows}`;
  const place = prefix.place === 'processor' ? '-processor' : rows;
  return `${backboneHash}-${dataset.hash}-${model.sizeIn(settings)}-${prefixKey(shape)}${augmentation}${place}`;
}

/** What values are computed from and how, in words that are the same for equal computations. */
function textOf(values: readonly Tensor[]): string {
  const index = new Map<Tensor, number>();
  const lines = nodesOf(values).map((node) => {
    const inputs = node.inputs.map((t) => index.get(t));
    for (const t of node.outputs) index.set(t, index.size);
    return `${node.op.name}(${inputs})${JSON.stringify(node.attrs ?? null, (_, v) => (ArrayBuffer.isView(v) ? digestOf(v) : v))}`;
  });
  return `${lines.join('\n')}\n${values.map((t) => index.get(t))}`;
}

/** What a training step gives beside its loss. */
const stepOutputs = ({ hits, divisor }: BatchTrace): Record<string, Tensor> => ({
  hits: copy(hits),
  ...(divisor ? { divisor: copy(divisor) } : {}),
});

/** Digests of constants, each computed once: a trace is put into words several times. */
const digests = new WeakMap<ArrayBufferView, string>();

/** Tells data of constants apart by what they hold. */
function digestOf(data: ArrayBufferView): string {
  let known = digests.get(data);
  if (known === undefined) {
    known = digest(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    digests.set(data, known);
  }
  return known;
}

export async function compileTraining(state: State, shape: RunShape): Promise<Program> {
  const live = liveTrace(shape);
  return compileTrainStep(state, {
    label: 'train',
    loss: live.loss,
    outputs: stepOutputs(live),
    inParts: partsOf(shape.settings).parts > 1,
    optimiser: optimiserOf(shape.settings),
    memory: memoryOf(shape),
    optimise: shape.optimise,
  });
}

/** The training step's trace behind the cut, for one part of its batch. */
export function liveTrace(shape: RunShape): BatchTrace {
  return splitTrace(shape, partsOf(shape.settings).rows, true).live;
}

/** The trace of an evaluation behind the cut. */
export function restingTrace(shape: RunShape, batch: number): BatchTrace {
  return splitTrace(shape, batch, false).live;
}

/** The parameters of those names that `loss` reads. Throws where it does not read one. */
export function tensorsNamed(loss: Tensor, names: readonly string[]): Tensor[] {
  const found = new Map(
    nodesOf([loss]).flatMap((node) =>
      isParameter(node.outputs[0]) ? [[(node.attrs as ParameterAttrs).name, node.outputs[0]] as const] : [],
    ),
  );
  return names.map((name) => {
    const t = found.get(name);
    if (!t) throw new Error(`The loss does not read '${name}'.`);
    return t;
  });
}

export async function compileEvaluation(state: State, shape: RunShape, batch: number): Promise<Program> {
  const live = restingTrace(shape, batch);
  const outputs: Record<string, Tensor> = live.sums
    ? { sums: copy(live.sums) }
    : { logits: copy(live.logits) };
  return compile(state, { label: 'evaluate', outputs, optimise: shape.optimise });
}

/** Paths of the frozen weights that the given programs' traces read. */
export function frozenWeights(shape: RunShape): string[] {
  const whole = traceBatch(shape, 1, false);
  const paths = new Set<string>();
  for (const node of nodesOf([whole.logits, frozenFeatures(shape, 1)]))
    for (const t of node.outputs) if (isFrozen(t)) paths.add((node.attrs as ParameterAttrs).name);
  return [...paths];
}

/** Arithmetic operations of one batch's forward pass, about. */
export const workOfStep = (shape: RunShape): number =>
  workOf([traceBatch(shape, shape.settings.batch_size as number, true).loss]);

/** Costs of a run, from the schedules alone: no GPU is touched. */
export interface Costs {
  weightBytes: number;
  arenaBytes: number;
  cacheBytesPerSample: number;
  trainable: number;
  /** Parts that a step's batch is computed in. */
  parts: number;
  prefixFlops: number;
  stepFlops: number;
  /** Of a step's operations, those done twice to stay within the memory limit. */
  recomputedFlops: number;
}

export function costsOf(shape: RunShape, limit: number): Costs {
  const { parts, rows: batch } = partsOf(shape.settings);
  const { cut, live } = splitTrace(shape, batch, true);
  const trainables = trainablesOf([live.loss]);
  const grads = gradients(live.loss, [...trainables.values()]);
  // The form of a product changes neither its memory nor its arithmetic.
  const common = { limit, target: PLAIN, optimise: switchesOf(shape) };
  const step = schedule({
    ...common,
    outputs: { loss: copy(live.loss), ...stepOutputs(live) },
    placed: new Map(grads.map((g, i) => [copy(g), `g:${i}`])),
    memory: memoryOf(shape),
  });
  const values = Object.fromEntries(cut.map((t, i) => [cutName(i), copy(t)]));
  const prefix = schedule({ ...common, outputs: values });
  const flops = (calls: { flops: number }[]) => calls.reduce((n, c) => n + c.flops, 0);
  const weights = new Map<string, number>();
  for (const s of [step, prefix])
    for (const [key, t] of s.leaves) if (isParameter(t) && !isTrainable(t)) weights.set(key, byteSize(t));
  // Copies of weights in another order lie beside them; two programs share one.
  for (const t of [...step.folded, ...prefix.folded]) weights.set(textOf([t]), byteSize(t));
  return {
    weightBytes: [...weights.values()].reduce((a, b) => a + b, 0),
    arenaBytes: Math.max(...[step, prefix].map((s) => s.plan.arenas.reduce((a, b) => a + b, 0))),
    cacheBytesPerSample: cut.reduce((n, t) => n + byteSize(t), 0) / batch,
    trainable: [...trainables.values()].reduce((n, t) => n + byteSize(t) / 4, 0),
    parts,
    prefixFlops: flops(prefix.calls) / batch,
    stepFlops: parts * flops(step.calls),
    recomputedFlops: parts * (step.recomputed?.flops ?? 0),
  };
}
