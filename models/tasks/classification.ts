import {
  accuracyHits,
  crossEntropy,
  dropout,
  input,
  linear,
  parameter,
  reduceSum,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { AddedParameter, Attachment, AttachmentScope } from '../methods/method.ts';
import type { Model } from '../model.ts';

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

/** Names of the traced inputs; knobs are `knob:<name>`. */
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
): ClassificationTrace {
  const { batch, side, classes } = shape;
  const pixels = input(inputs.pixels, [batch, 3, side, side], { sample: true });
  const own = attachmentScope(attachment, shape.training);
  const { features } = model.trace(pixels, [attachment.intercept(own)]);
  const [w, b] = headParameters(model, classes).map((p) => parameter(p.name, p.shape, { trainable: true }));
  const logits = linear(features, w, b);
  const labels = input(inputs.labels, [batch], { dtype: 'u32' });
  const weights = input(inputs.weights, [batch]);
  const each = crossEntropy(logits, labels, { weights, labelSmoothing: shape.labelSmoothing });
  return { features, logits, loss: reduceSum(each), hits: accuracyHits(logits, labels) };
}

function attachmentScope(attachment: Attachment, training: boolean): AttachmentScope {
  const leaves = new Map(
    attachment.parameters.map((p) => [p.name, parameter(p.name, p.shape, { trainable: true })]),
  );
  const knobs = new Map(attachment.knobs.map((k) => [k.name, input(`knob:${k.name}`, [])]));
  const random = input(inputs.random, [2], { dtype: 'u32' });
  let sites = 0;
  return {
    parameter: (name) => found(leaves, name, 'parameter'),
    knob: (name) => found(knobs, name, 'knob'),
    dropout: (x, rate) => (training && rate > 0 ? dropout(x, rate, random, sites++) : x),
  };
}

function found(map: ReadonlyMap<string, Tensor>, name: string, what: string): Tensor {
  const t = map.get(name);
  if (!t) throw new Error(`The method reads the ${what} '${name}', which it does not declare.`);
  return t;
}
