import type { Tensor } from '../../gpu-shaders/index.ts';
import type { UpdateRule } from '../../gpu-shaders/state.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type {
  AttentionCard,
  BranchCard,
  MaskEdit,
  MaskRenewal,
  MethodCard,
  ModuleCard,
  Settings,
} from '../describe.ts';
import type { Interception } from '../scope.ts';
import type { SparseUpdate } from './math/sparse.ts';

/** What a method is told of the model it attaches to. */
export interface ModelDescription {
  modules: readonly ModuleCard[];
  blocks: number;
  /** Every parameter that the backbone reads, biases and norms among them. */
  parameters: readonly { path: string; shape: readonly number[]; block: number }[];
  /** Residual branches: what a block computes and adds to its input. */
  branches: readonly BranchCard[];
  attentions: readonly AttentionCard[];
  /** Layer norms, by the path of their module; the norms of convolutional backbones are not among them. */
  norms: readonly { path: string; block: number }[];
  /** Whether learnt tokens may stand beside its own; not where attention stays within windows of a map. */
  takesTokens?: boolean;
}

/** What a method may ask of the frozen model, and of the data, before the first step. */
export interface Base {
  /** A frozen parameter by its path, widened to f32. */
  weight(path: string): Promise<Float32Array>;
  /** Second moments of the inputs of modules: the mean over calibration rows of xᵀx, not centred, [in, in] each. */
  inputMoments(paths: readonly string[]): Promise<Map<string, Float32Array>>;
  /** Gradients of the mean loss with respect to modules' weights, under the tuned linear probe as head. */
  gradients(paths: readonly string[]): Promise<Map<string, Float32Array>>;
}

/** Start values; `draw` is uniform in [0, 1), from a stream of this tensor's own. */
type Initial = (draw: () => number, base: Base) => Float32Array | Promise<Float32Array>;

/** A tensor that a method adds and trains. Its name is its key in checkpoints and, where PEFT knows it, in the file. */
export interface AddedParameter {
  name: string;
  shape: readonly number[];
  initial: Initial;
  /** How the optimiser treats it; plainly by default. */
  rule?: UpdateRule;
}

/**
 * A tensor that a method adds and does not train: a mask, a basis, a copy of the start. `refresh` may rewrite it. Host
 * code sees every value as f32, in which indices are exact up to 2²⁴.
 */
export interface AddedBuffer {
  name: string;
  shape: readonly number[];
  dtype?: 'f32' | 'u32';
  initial: Initial;
}

/** A number that may move while a run trains. */
export interface Knob {
  name: string;
  value: number;
}

/** A value that each training step draws for itself: a function of the run's seed and the step. */
export interface StepDraw {
  name: string;
  shape: readonly number[];
  at(step: number, draw: () => number): readonly number[];
}

/** How traced code reaches what belongs to the attachment. */
export interface AttachmentScope {
  /** Whether this trace trains; evaluation draws nothing. */
  training: boolean;
  /** Which forward pass of a step this is: 1 for the second of a method with `consistency`, else 0. */
  pass: number;
  /** A trainable parameter declared in `parameters`. */
  parameter(name: string): Tensor;
  /** A tensor declared in `buffers`. */
  buffer(name: string): Tensor;
  /** A scalar declared in `knobs`: its value comes with each step, so turning it compiles nothing. */
  knob(name: string): Tensor;
  /** A value declared in `draws`; in training traces only. */
  draw(name: string): Tensor;
  /** Labels of the batch, u32 [B]; in training traces only: for methods that treat classes differently. */
  labels(): Tensor;
  /** Inverted dropout of the training step; the identity elsewhere. Each call in a trace draws for itself. */
  dropout(x: Tensor, rate: number): Tensor;
}

/** Tensors of a running training, between two steps. */
export interface LiveTensors {
  /** Steps done. */
  step: number;
  /** Steps of the whole run, and of one pass over the data. */
  steps: number;
  epochSteps: number;
  /** A parameter or a buffer. */
  read(name: string): Promise<Float32Array>;
  write(name: string, data: Float32Array): void;
  /** The optimiser's first and second moment of a parameter. */
  moments(name: string): Promise<[Float32Array, Float32Array]>;
  writeMoments(name: string, first: Float32Array, second: Float32Array): void;
  /** Gradients of the loss with respect to parameters or f32 buffers, on the batch of the step just done. */
  gradients(names: readonly string[]): Promise<Map<string, Float32Array>>;
  /** Every trained value, and the gradients that the step just done followed, before clipping. They cost no pass. */
  trained(): Promise<{ values: Map<string, Float32Array>; gradients: Map<string, Float32Array> }>;
  /** Uniform in [0, 1), from a stream of this step's own. */
  draw(): number;
}

/** What a method does between steps: move a basis, switch a phase, prune. */
export interface Refresh {
  /** Whether it acts after so many steps; 0 is before the first. */
  due(at: Pick<LiveTensors, 'step' | 'steps' | 'epochSteps'>): boolean;
  apply(live: LiveTensors): Promise<void>;
}

/** A method attached to a model with its settings: everything a session needs, in the method's own words. */
export interface Attachment {
  /** Paths it attaches to. */
  targets: string[];
  parameters: AddedParameter[];
  buffers?: AddedBuffer[];
  knobs: Knob[];
  draws?: StepDraw[];
  intercept(scope: AttachmentScope): Interception;
  /** A scalar added to the loss of a training step. */
  penalty?(scope: AttachmentScope): Tensor;
  /** Runs each batch twice, `pass` 0 and 1, and adds this times the mean of both KL divergences of their outputs. */
  consistency?: number;
  refresh?: Refresh;
}

/** Trained tensors and buffers by the names declared. */
export type Tensors = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;

/** A low-rank update of one module as adapter files carry it: scale × b a. */
export interface LowRankUpdate {
  path: string;
  a: { shape: readonly number[]; data: Float32Array };
  b: { shape: readonly number[]; data: Float32Array };
  scale: number;
}

/** An adapter in the layout of one of PEFT's own types. Keys lack PEFT's `base_model.model.` prefix. */
export interface PeftContent {
  config: JsonObject;
  tensors: Tensors;
  /** End of the names of tensors that PEFT keeps as whole numbers, int32. */
  integers?: string;
}

/** How a method reads and writes the PEFT type of its name. */
export interface PeftForm {
  /** PEFT's word, e.g. `VERA`. */
  type: string;
  /** Tells this method's files from others of the same type; all of the type by default. */
  accepts?(config: JsonObject): boolean;
  write(
    attachment: Attachment,
    settings: Settings,
    tensors: Tensors,
    base: Base,
  ): PeftContent | Promise<PeftContent>;
  read(content: PeftContent, model: ModelDescription): { settings: Settings; tensors: Tensors };
}

/** How a method keeps trained tensors in fewer bits than floats take. */
export interface PackedForm {
  /** Bytes that they take in a file. */
  bytes(attachment: Pick<Attachment, 'parameters'>, settings: Settings): number;
  /** Packed tensors by the names declared; what is not among them stays as floats. */
  write(
    attachment: Pick<Attachment, 'parameters'>,
    settings: Settings,
    tensors: Tensors,
  ): Map<string, Uint8Array>;
  /** Throws `MethodError` or `RangeError` where they are not those of the attachment. */
  read(
    attachment: Pick<Attachment, 'parameters'>,
    settings: Settings,
    packed: ReadonlyMap<string, Uint8Array>,
  ): { settings: Settings; tensors: Tensors };
}

/** The entries of one module's weight that a method changes. */
export interface SparseMask {
  path: string;
  /** [rows, columns] of the weight seen as a matrix. */
  shape: readonly [number, number];
  /** Flat positions, ascending. */
  indices: Uint32Array;
}

/** Values that a method adds to some entries of a module's weight seen as a matrix. */
export interface ModuleUpdate extends SparseUpdate {
  path: string;
  rows: number;
  columns: number;
}

/** What painting a mask changes. */
export interface Painted {
  /** New values of parameters and buffers, by name. */
  tensors: Map<string, Float32Array>;
  /** Elements of parameters that now stand for another weight, so that the optimiser must forget the old one's moments. */
  fresh: Map<string, readonly number[]>;
}

export interface Renew {
  /** The setting that names the criteria. */
  setting: string;
  masks(
    model: ModelDescription,
    attachment: Attachment,
    tensors: Tensors,
    renewal: MaskRenewal,
    base: Base,
  ): Promise<Painted>;
}

/** One parameter-efficient method. Adding one touches its file, the list in `index.ts` and a row in the matrix test. */
export interface Method {
  card: MethodCard;
  /** Resolves targets and declares what is added. Throws `MethodError` for settings that do not fit the model. */
  attach(model: ModelDescription, settings: Settings): Attachment;
  /** The trained update as low-rank factors, for PEFT's LoRA, diffusers and kohya files; absent where there is no such form. */
  toLowRank?(attachment: Attachment, settings: Settings, tensors: Tensors): LowRankUpdate[];
  /** The trained update as entries of the weights; where it is, the method merges and sums exactly as them. */
  toSparse?(attachment: Attachment, settings: Settings, tensors: Tensors): ModuleUpdate[];
  /** Settings and tensors from a file's factors. */
  fromLowRank?(updates: readonly LowRankUpdate[]): { settings: Settings; tensors: Tensors };
  /** PEFT's own type for this method, where it has one. */
  peft?: PeftForm;
  /** How `graft.safetensors` holds its numbers where they take less than floats. */
  packed?: PackedForm;
  /** The weights it changes as they become, by parameter path; where `toLowRank` is, it need not be. */
  merge?(
    attachment: Attachment,
    settings: Settings,
    tensors: Tensors,
    base: Base,
  ): Promise<Map<string, Float32Array>>;
  /** Why it cannot be folded into the weights, in a sentence. */
  unmergeable?: string;
  /** What the Sparsity panel draws. */
  masks?(attachment: Attachment, tensors: Tensors): SparseMask[];
  /** The mask with a part painted in or out; absent where masks are the method's own business. */
  paint?(attachment: Attachment, tensors: Tensors, edit: MaskEdit): Painted;
  /** Masks chosen anew by a criterion; absent where the method has none. Throws `MethodError` for what does not fit. */
  renew?: Renew;
}

/** Settings that cannot be attached to this model. */
export class MethodError extends Error {
  override name = 'MethodError';
}
