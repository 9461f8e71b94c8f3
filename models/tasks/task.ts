import type { Tensor } from '../../gpu-shaders/index.ts';
import type { SampleInput } from '../backbones/backbone.ts';
import type { AddedParameter, Attachment } from '../methods/method.ts';
import type { Model } from '../model.ts';
import type { Interception } from '../scope.ts';

/** One traced batch. */
export interface BatchTrace {
  /** What a classification head would read, [B, F]. */
  features: Tensor;
  /** [B, classes], or [B, T, classes] where each token is answered. */
  logits: Tensor;
  /** The scalar that training lowers. */
  loss: Tensor;
  /** Share of a sample's answers that are right, [B]. */
  hits: Tensor;
  /** Of the answers of each sample, [B, 3]: the sum of their losses, how many are right, how many count. */
  sums?: Tensor;
  /**
   * Of a part of a step: a scalar, which added up over the parts is what the added losses are to be divided by. Absent
   * where that is 1.
   */
  divisor?: Tensor;
}

export interface BatchShape {
  classes: number;
  batch: number;
  /** Side, tokens or seconds of a sample. */
  size: number;
  labelSmoothing: number;
  /** Whether dropout draws. */
  training: boolean;
  /**
   * The batch is a part of a step's samples: the losses of its parts add up to the step's, `random` has the part's index
   * as a third number, and a sample of weight 0 only fills the part up.
   */
  part?: boolean;
}

/** What is learnt of a sample: its targets, the head, the loss. A new one is a file here and a line in `index.ts`. */
export interface Task {
  id: 'classification' | 'token-classification' | 'causal-lm' | 'masked-lm';
  /** One plain sentence. */
  about: string;
  /** Whether a backbone has a head for it. */
  fits(model: Model): boolean;
  /** Tensors of a sample beside the backbone's inputs; none where its class number says all. */
  targets(size: number): SampleInput[];
  /** What trains beside the method's own parameters. */
  head(model: Model, classes: number): AddedParameter[];
  /** Traces one batch; `below` are interceptions below the method's. Inputs: the backbone's, the targets, and `inputs`. */
  trace(model: Model, attachment: Attachment, shape: BatchShape, below?: readonly Interception[]): BatchTrace;
}

/** Names of the traced inputs beside a sample's; knobs are `knob:<name>`, draws `draw:<name>`. */
export const inputs = { labels: 'labels', weights: 'weights', random: 'random' } as const;
