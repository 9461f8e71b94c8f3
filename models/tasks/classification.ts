import {
  accuracyHits,
  add,
  crossEntropy,
  exp,
  greater,
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
import type { AddedParameter, Attachment, Base } from '../methods/method.ts';
import type { Model } from '../model.ts';
import type { Interception } from '../scope.ts';
import { attachmentScopes } from './attachment.ts';
import { type BatchShape, type BatchTrace, inputs, type Task } from './task.ts';

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

/** Traces one batch. Inputs: the backbone's own, labels u32 [B], weights f32 [B], random u32 [2] or [3]. */
export function traceClassification(
  model: Model,
  attachment: Attachment,
  shape: BatchShape,
  /** Interceptions below the method's. */
  below: readonly Interception[] = [],
): BatchTrace {
  const { batch, size, classes, labelSmoothing, training, part } = shape;
  const read = model.inputs(batch, size);
  const labels = input(inputs.labels, [batch], { dtype: 'u32' });
  const scopeOf = attachmentScopes(attachment, training, labels, part);
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
  if (training && penalty) {
    const whole = penalty(scopeOf(0));
    // Weights of a step's parts add up to 1.
    loss = add(loss, part ? mul(whole, reduceSum(weights)) : whole);
  }
  const hits = accuracyHits(logits, labels);
  return { features, logits, loss, hits: part ? mul(hits, greater(weights, 0)) : hits };
}

/** Mean of KL(p ‖ q) and KL(q ‖ p) of two predictions' rows, [B]; nothing is learnt through the targets. */
function divergence(p: Tensor, q: Tensor): Tensor {
  const towards = (target: Tensor, of: Tensor) => {
    const t = stopGradient(logSoftmax(target));
    return reduceSum(mul(exp(t), sub(t, logSoftmax(of))), [1]);
  };
  return mul(add(towards(p, q), towards(q, p)), 0.5);
}

/** A sample belongs to one of the classes. */
export const classification: Task = {
  id: 'classification',
  about: 'Gives every sample one of the classes.',
  fits: () => true,
  targets: () => [],
  head: headParameters,
  trace: traceClassification,
};
