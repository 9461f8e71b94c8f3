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
  stopGradient,
  sub,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { AddedParameter, Attachment, AttachmentScope } from '../methods/method.ts';
import type { Model } from '../model.ts';
import type { Interception } from '../scope.ts';

/** Picture classification: the backbone's features, the method's attachment, a trained linear head. */
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
  /** Side of the input in pixels. */
  side: number;
  labelSmoothing: number;
  /** Whether dropout draws. */
  training: boolean;
}

/** Names of the traced inputs; knobs are `knob:<name>`, draws `draw:<name>`. */
export const inputs = { pixels: 'pixels', labels: 'labels', weights: 'weights', random: 'random' } as const;

/** Head parameters, zero at the start: the first step's gradient then depends on no draw. */
export function headParameters(model: Model, classes: number): AddedParameter[] {
  const { headPath } = model.backbone;
  const features = model.backbone.featureSize(model.config);
  return [
    {
      name: `${headPath}.weight`,
      shape: [classes, features],
      initial: () => new Float32Array(classes * features),
    },
    { name: `${headPath}.bias`, shape: [classes], initial: () => new Float32Array(classes) },
  ];
}

/** Everything a run trains: the method's parameters, then the head's. */
export function trainedParameters(model: Model, attachment: Attachment, classes: number): AddedParameter[] {
  return [...attachment.parameters, ...headParameters(model, classes)];
}

/** Traces one batch. Inputs: pixels f32 [B, 3, side, side], labels u32 [B], weights f32 [B], random u32 [2]. */
export function traceClassification(
  model: Model,
  attachment: Attachment,
  shape: ClassificationShape,
  /** Interceptions below the method's. */
  below: readonly Interception[] = [],
): ClassificationTrace {
  const { batch, side, classes, labelSmoothing, training } = shape;
  const pixels = input(inputs.pixels, [batch, 3, side, side], { sample: true });
  const labels = input(inputs.labels, [batch], { dtype: 'u32' });
  const scopeOf = attachmentScopes(attachment, training, labels);
  const [w, b] = headParameters(model, classes).map((p) => parameter(p.name, p.shape, { trainable: true }));
  const forward = (pass: number) => {
    const { features } = model.trace(pixels, [...below, attachment.intercept(scopeOf(pass))]);
    return { features, logits: linear(features, w, b) };
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
