import {
  accuracyHits,
  add,
  concat,
  crossEntropy,
  div,
  greater,
  input,
  linear,
  maximum,
  mul,
  parameter,
  reduceSum,
  reshape,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { BackboneOutput, SampleInput } from '../backbones/backbone.ts';
import type { Attachment } from '../methods/method.ts';
import type { Model } from '../model.ts';
import type { Interception, Scope } from '../scope.ts';
import { attachmentScopes } from './attachment.ts';
import { type BatchShape, type BatchTrace, inputs, type Task } from './task.ts';

/** Targets of each token: the class or the token to say, and 1 where it counts. */
export const tokenTargets = (size: number): SampleInput[] => [
  { name: 'targets', shape: [size], dtype: 'u32' },
  { name: 'counted', shape: [size], dtype: 'f32' },
];

/** Every token gets one of the classes: `BertForTokenClassification` and its like. */
export const tokenClassification: Task = {
  id: 'token-classification',
  about: 'Gives every word a class: names, places, parts of speech.',
  fits: (model) => model.backbone.modality === 'text' && !isTwofold(model),
  targets: tokenTargets,
  head(model, classes) {
    const path = model.tokenHead;
    const width = lastWidth(model);
    return [
      { name: `${path}.weight`, shape: [classes, width], initial: () => new Float32Array(classes * width) },
      { name: `${path}.bias`, shape: [classes], initial: () => new Float32Array(classes) },
    ];
  },
  trace(model, attachment, shape, below = []) {
    if (isTwofold(model))
      throw new TaskError(
        `${model.backbone.title} reads a text in one half and writes it in the other; choose a backbone such as BERT to give words classes.`,
      );
    const [w, b] = this.head(model, shape.classes).map((p) =>
      parameter(p.name, p.shape, { trainable: true }),
    );
    return traceTokens(model, attachment, shape, below, (_, { last }) => linear(last, w, b));
  },
};

/** Every token is followed by the next one: `targets` are the ids moved on by one. */
export const causalLm: Task = languageModel('causal-lm', 'Writes on: learns to say the next token.');

/** Tokens behind a mask are guessed from those around them. */
export const maskedLm: Task = languageModel('masked-lm', 'Fills gaps: learns to guess hidden tokens.');

function languageModel(id: 'causal-lm' | 'masked-lm', about: string): Task {
  return {
    id,
    about,
    // A model that sees what comes behind cannot learn to write on, and the other way round.
    fits: (model) =>
      model.backbone.languageHead !== undefined &&
      (id === 'masked-lm') === /MaskedLM$/.test(model.backbone.languageClass ?? ''),
    targets: tokenTargets,
    head: () => [],
    trace(model, attachment, shape, below = []) {
      const { languageHead } = model.backbone;
      if (!languageHead)
        throw new TaskError(
          `${model.backbone.title} has no language-modelling head. Choose a backbone such as GPT-2, Llama or BERT, or another task.`,
        );
      return traceTokens(model, attachment, shape, below, (scope, output) =>
        languageHead(scope, output, model.config),
      );
    },
  };
}

/** A task that a backbone cannot be trained for. */
export class TaskError extends Error {
  override name = 'TaskError';
}

/** Whether it reads a text in one half and writes in the other. */
const isTwofold = (model: Model) => model.sampleInputs(1).some((i) => i.name === 'decoder_ids');

/** Features of a token's last hidden state. */
const lastWidth = (model: Model) => model.lastShape.at(-1)!;

/** The loss is the mean over all tokens of the batch that count, as transformers' models compute it. */
function traceTokens(
  model: Model,
  attachment: Attachment,
  shape: BatchShape,
  below: readonly Interception[],
  answer: (scope: Scope, output: BackboneOutput) => Tensor,
): BatchTrace {
  const { batch, size, training, labelSmoothing, part } = shape;
  if (attachment.consistency)
    throw new TaskError('This method compares two answers to one sample, which is built for classes only.');
  const read = model.inputs(batch, size);
  const [targets, counted] = tokenTargets(size).map(({ name, shape: sizes, dtype }) =>
    input(name, [batch, ...sizes], { dtype, sample: true }),
  );
  const labels = input(inputs.labels, [batch], { dtype: 'u32' });
  const scope = attachmentScopes(attachment, training, labels, part)(0);
  const interceptions = [...below, attachment.intercept(scope)];
  const output = model.trace(read, interceptions);
  const logits = answer(model.scope(interceptions), output);
  const weightOf = input(inputs.weights, [batch]);
  const weights = mul(counted, reshape(weightOf, [batch, 1]));
  const losses = crossEntropy(logits, targets, { labelSmoothing });
  const divisor = maximum(reduceSum(weights), 1e-9);
  let loss = reduceSum(mul(losses, weights));
  if (!part) loss = div(loss, divisor);
  if (training && attachment.penalty) {
    const whole = attachment.penalty(scope);
    loss = add(loss, part ? mul(whole, divisor) : whole);
  }
  const right = mul(accuracyHits(logits, targets), counted);
  const perSample = [mul(losses, counted), right, counted].map((t) => reshape(reduceSum(t, [1]), [batch, 1]));
  const sums = concat(perSample, 1);
  const hits = reshape(div(perSample[1], maximum(perSample[2], 1)), [batch]);
  const trace = { features: output.features, logits, loss, hits, sums };
  return part ? { ...trace, hits: mul(hits, greater(weightOf, 0)), divisor } : trace;
}
