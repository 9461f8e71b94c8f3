import type { Tensor } from '../../gpu-shaders/index.ts';
import type { MethodCard, ModuleCard, Settings } from '../describe.ts';
import type { Interception } from '../scope.ts';

/** What a method is told of the model it attaches to. */
export interface ModelDescription {
  modules: readonly ModuleCard[];
  blocks: number;
}

/** A tensor that a method adds and trains. Its name is its key in checkpoints and, where PEFT knows it, in the file. */
export interface AddedParameter {
  name: string;
  shape: readonly number[];
  /** Start values; `random` draws uniformly from [0, 1), from a stream of this parameter's own. */
  initial(random: () => number): Float32Array;
}

/** How traced code reaches what belongs to the attachment. */
export interface AttachmentScope {
  /** A trainable parameter declared in `parameters`. */
  parameter(name: string): Tensor;
  /** A scalar declared in `knobs`: its value comes with each step, so turning it compiles nothing. */
  knob(name: string): Tensor;
  /** Inverted dropout of the training step; the identity elsewhere. Each call in a trace draws for itself. */
  dropout(x: Tensor, rate: number): Tensor;
}

/** A number that may move while a run trains. */
export interface Knob {
  name: string;
  value: number;
}

/** Singular values of one module's update, or another picture's data: what panels draw. */
export interface SpectrumChannel {
  kind: 'spectrum';
  path: string;
  shape: number[];
  /** The update in factors: scale × b a, with a [r, in] and b [out, r] by parameter name. */
  a: string;
  b: string;
  scale: number;
}

/** A method attached to a model with its settings: everything a session needs, in the method's own words. */
export interface Attachment {
  /** Paths it attaches to. */
  targets: string[];
  parameters: AddedParameter[];
  knobs: Knob[];
  intercept(scope: AttachmentScope): Interception;
  channels: SpectrumChannel[];
}

/** Trained tensors by the names declared in `parameters`. */
export type Tensors = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;

/** A low-rank update of one module as adapter files carry it: scale × b a. */
export interface LowRankUpdate {
  path: string;
  a: { shape: readonly number[]; data: Float32Array };
  b: { shape: readonly number[]; data: Float32Array };
  scale: number;
}

/** One parameter-efficient method. Adding one touches its file, the list in `index.ts` and a row in the matrix test. */
export interface Method {
  card: MethodCard;
  /** Resolves targets and declares what is added. Throws `MethodError` for settings that do not fit the model. */
  attach(model: ModelDescription, settings: Settings): Attachment;
  /** The trained update as low-rank factors, for PEFT, diffusers and kohya files; absent where there is no such form. */
  toLowRank?(attachment: Attachment, settings: Settings, tensors: Tensors): LowRankUpdate[];
  /** Settings and tensors from a file's factors. */
  fromLowRank?(updates: readonly LowRankUpdate[]): { settings: Settings; tensors: Tensors };
}

/** Settings that cannot be attached to this model. */
export class MethodError extends Error {
  override name = 'MethodError';
}
