import {
  accuracyHits,
  add,
  crossEntropy,
  dropout,
  exp,
  input,
  linear,
  logSoftmax,
  mul,
  parameter,
  reduceSum,
  relu,
  stopGradient,
  sub,
  type Tensor,
  tanh,
} from '../../gpu-shaders/index.ts';
import type { HiddenLayer } from '../backbones/backbone.ts';
import type { AddedParameter, Attachment, AttachmentScope, Base } from '../methods/method.ts';
import type { Model } from '../model.ts';
import type { Interception } from '../scope.ts';

/** Classification of samples: the backbone's features, the method's attachment, the trained head. */
export interface ClassificationTrace {
  /** Last hidden features, [B, F]. */
  features: Tensor;
  /** [B, classes]. */
  logits: Tensor;
  /** Sum of the weighted cross-entropies; with weights 1/B it is the batch mean. */
  loss: Tensor;
  /** 1 where the largest logit is the label's, [B]. */
  hits: Tensor;
}

export interface ClassificationShape {
  classes: number;
  batch: number;
  /** Side, tokens or seconds of a sample. */
  size: number;
  labelSmoothing: number;
  /** Whether dropout draws. */
  training: boolean;
}

/** Names of the traced inputs; knobs are `knob:<name>`, draws `draw:<name>`. */
export const inputs = { labels: 'labels', weights: 'weights', random: 'random' } as const;

/**
 * Head parameters. The last layer is zero at the start: the first step's gradient then depends on no draw. Layers before
 * it start as the checkpoint has them, else as PyTorch's linear layers do.
 */
export function headParameters(model: Model, classes: number): AddedParameter[] {
  const { path, bias, hidden } = model.head;
  const parameters: AddedParameter[] = [];
  let width = model.backbone.featureSize(model.config);
  for (const layer of hidden) {
    parameters.push(...hiddenParameters(model, layer, width));
    width = layer.width;
  }
  parameters.push({
    name: `${path}.weight`,
    shape: [classes, width],
    initial: () => new Float32Array(classes * width),
  });
  if (bias)
    parameters.push({ name: `${path}.bias`, shape: [classes], initial: () => new Float32Array(classes) });
  return parameters;
}

function hiddenParameters(model: Model, { path, width }: HiddenLayer, from: number): AddedParameter[] {
  const start = (name: string, count: number) => async (draw: () => number, base: Base) =>
    model.has(name)
      ? await base.weight(name)
      : Float32Array.from({ length: count }, () => (2 * draw() - 1) / Math.sqrt(from));
  const [weight, bias] = [`${path}.weight`, `${path}.bias`];
  return [
    { name: weight, shape: [width, from], initial: start(weight, width * from) },
    { name: bias, shape: [width], initial: start(bias, width) },
  ];
}

const activate = { tanh, relu, none: (x: Tensor) => x };

/** The head, from features [B, F] to logits [B, classes]; `read` gives its parameters. */
export function headOf(
  model: Model,
  classes: number,
  read: (name: string, shape: readonly number[]) => Tensor,
): (features: Tensor) => Tensor {
  const { path, hidden } = model.head;
  const leaves = new Map(headParameters(model, classes).map((p) => [p.name, read(p.name, p.shape)]));
  const layer = (x: Tensor, at: string) => linear(x, leaves.get(`${at}.weight`)!, leaves.get(`${at}.bias`));
  return (features) => {
    const last = hidden.reduce((x, h) => activate[h.activation](layer(x, h.path)), features);
    return layer(last, path);
  };
}

/** Everything a run trains: the method's parameters, then the head's. */
export function trainedParameters(model: Model, attachment: Attachment, classes: number): AddedParameter[] {
  return [...attachment.parameters, ...headParameters(model, classes)];
}

/** Traces one batch. Inputs: the backbone's own, labels u32 [B], weights f32 [B], random u32 [2]. */
export function traceClassification(
  model: Model,
  attachment: Attachment,
  shape: ClassificationShape,
  /** Interceptions below the method's. */
  below: readonly Interception[] = [],
): ClassificationTrace {
  const { batch, size, classes, labelSmoothing, training } = shape;
  const read = model.inputs(batch, size);
  const labels = input(inputs.labels, [batch], { dtype: 'u32' });
  const scopeOf = attachmentScopes(attachment, training, labels);
  const head = headOf(model, classes, (name, sizes) => parameter(name, sizes, { trainable: true }));
  const forward = (pass: number) => {
    const { features } = model.trace(read, [...below, attachment.intercept(scopeOf(pass))]);
    return { features, logits: head(features) };
  };
  const { features, logits } = forward(0);
  const weights = input(inputs.weights, [batch]);
  let loss = reduceSum(crossEntropy(logits, labels, { weights, labelSmoothing }));
  const { consistency, penalty } = attachment;
  if (training && consistency)
    loss = add(loss, mul(reduceSum(mul(divergence(logits, forward(1).logits), weights)), consistency));
  if (training && penalty) loss = add(loss, penalty(scopeOf(0)));
  return { features, logits, loss, hits: accuracyHits(logits, labels) };
}

/** Mean of KL(p ‖ q) and KL(q ‖ p) of two predictions' rows, [B]; nothing is learnt through the targets. */
function divergence(p: Tensor, q: Tensor): Tensor {
  const towards = (target: Tensor, of: Tensor) => {
    const t = stopGradient(logSoftmax(target));
    return reduceSum(mul(exp(t), sub(t, logSoftmax(of))), [1]);
  };
  return mul(add(towards(p, q), towards(q, p)), 0.5);
}

/** What traced code reaches the attachment by, for each forward pass of a trace. */
export function attachmentScopes(
  attachment: Attachment,
  training: boolean,
  labels: Tensor,
): (pass: number) => AttachmentScope {
  const { parameters, buffers = [], draws = [], knobs } = attachment;
  const leaves = new Map(parameters.map((p) => [p.name, parameter(p.name, p.shape, { trainable: true })]));
  const held = new Map(
    buffers.map((b) => [b.name, parameter(b.name, b.shape, { dtype: b.dtype, mutable: true })]),
  );
  const turned = new Map(knobs.map((k) => [k.name, input(`knob:${k.name}`, [])]));
  const drawn = new Map(draws.map((d) => [d.name, input(`draw:${d.name}`, d.shape)]));
  const random = input(inputs.random, [2], { dtype: 'u32' });
  let sites = 0;
  return (pass) => ({
    training,
    pass,
    parameter: (name) => found(leaves, name, 'parameter'),
    buffer: (name) => found(held, name, 'buffer'),
    knob: (name) => found(turned, name, 'knob'),
    draw: (name) => found(drawn, name, 'draw'),
    labels() {
      if (!training) throw new Error('The method reads labels outside of training, where there are none.');
      return labels;
    },
    dropout: (x, rate) => (training && rate > 0 ? dropout(x, rate, random, sites++) : x),
  });
}

function found(map: ReadonlyMap<string, Tensor>, name: string, what: string): Tensor {
  const t = map.get(name);
  if (!t) throw new Error(`The method reads the ${what} '${name}', which it does not declare.`);
  return t;
}
