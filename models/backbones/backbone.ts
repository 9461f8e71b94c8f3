import type { Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Modality, ModulePreset, Settings } from '../describe.ts';
import type { Scope } from '../scope.ts';
import type { Decoder } from './decoding.ts';

/** One of the tensors that a sample is, without the batch. */
export interface SampleInput {
  name: string;
  shape: readonly number[];
  dtype: 'f32' | 'u32';
}

/** A batch: tensors [B, …] by the names of the backbone's `inputs`. */
export type Inputs = Readonly<Record<string, Tensor>>;

/** What a backbone computes from a batch. */
export interface BackboneOutput {
  /** What the classification head reads: [B, features]. */
  features: Tensor;
  /** Last hidden state, [B, tokens, d] or NHWC [B, h, w, c]. */
  last: Tensor;
}

/** How large a sample is made: the side of a picture, the tokens of a text, the seconds of a sound. */
export interface SampleSize {
  default: number;
  min: number;
  max: number;
  multiple: number;
  unit: 'px' | 'tokens' | 's';
}

/**
 * The classification head under the task class's own names: layers with an activation, then the last linear layer.
 * All of it trains, and PEFT keeps it as `modules_to_save`.
 */
export interface Head {
  /** Path of the last linear layer, e.g. `classifier` or `score`. */
  path: string;
  bias: boolean;
  /** Linear layers with biases before it, the first one first. */
  hidden: readonly HiddenLayer[];
}

export interface HiddenLayer {
  path: string;
  width: number;
  activation: 'tanh' | 'relu' | 'none';
}

/** A head of one linear layer. */
export const linearHead = (path: string, bias = true): Head => ({
  path,
  bias,
  hidden: [],
});

/**
 * One architecture under its library's own module names. `C` is its configuration as this file understands it.
 * The function `forward` is plain: a scope, inputs, operations. Add one: a file here, a line in `index.ts`, a row
 * in the parity test.
 */
export interface Backbone<C = unknown> {
  /** Hugging Face's `model_type`, or `timm`. */
  family: string;
  title: string;
  /** Whether this file serves a `config.json`. */
  accepts(config: JsonObject): boolean;
  /** Reads a configuration; throws `ConfigError` naming the option that is not supported. */
  configure(config: JsonObject): C;
  /**
   * Name that files (and transformers 4) use for a module or a parameter of this run-time path. Checkpoints saved
   * under the run-time names themselves, or without `basePrefix`, are read too: see `locate`.
   */
  diskName(path: string): string;
  /** Whether files hold the parameter of that path with its two axes exchanged: [in, out] for a linear layer. */
  diskTransposed?(path: string): boolean;
  /** Where that name stands for several run-time modules stacked along the first axis: which of how many this is. */
  diskPart?(path: string): DiskPart | undefined;
  /** What the task class puts before the bare model's names, e.g. `vit.`; empty where it puts nothing. */
  basePrefix: string;
  modality: Modality;
  /**
   * What a sample of that size is. Pictures: `pixels` f32 [3, side, side], preprocessed. Text: `ids` u32 [T], `mask` f32
   * [T], 1 for tokens and 0 for the padding behind them, and where the family has them `types` u32 [T], `decoder_ids`
   * u32 [T]. Sound: `mel` f32.
   */
  inputs(config: C, size: number): SampleInput[];
  forward(scope: Scope, inputs: Inputs, config: C): BackboneOutput;
  /** Logits over the vocabulary [B, T, V] of the family's language-modelling class, where it has one. */
  languageHead?(scope: Scope, output: Pick<BackboneOutput, 'last'>, config: C): Tensor;
  /** One token after the other, of a causal language model. */
  decode?: Decoder<C>;
  /** The token that `decoder_ids` begin with; the others are the text's own, moved on by one. */
  decoderStart?(config: C): number;
  /** Logits [B, classes] of heads that the file brings, where those are no single head as `head` describes it; undefined where it brings none. */
  storedLogits?(scope: Scope, output: BackboneOutput, config: C): Tensor | undefined;
  featureSize(config: C): number;
  blocks(config: C): number;
  /** Block index of a module path, for drawing: -1 before the first, `blocks` after the last. */
  blockOf(path: string, config: C): number;
  /** The classification head under the task class whose names the paths carry. */
  head(config: C): Head;
  /** Class to load an adapter onto, e.g. `ViTForImageClassification`; `timm` for timm's own models. */
  taskClass: string;
  /** Class with a language-modelling head, and what it puts before the bare model's names where that is not `basePrefix`. */
  languageClass?: string;
  languagePrefix?: string;
  /** Path of the linear layer under the token-classification class; `classifier` where it is not said. */
  tokenHead?: string;
  /** Choices of target modules; the first is the default. */
  presets(config: C): ModulePreset[];
  size(config: C): SampleSize;
  /** Training settings that fit it, by key. */
  defaults(config: C): Settings;
}

/** One of `of` equal bands of rows of a stored tensor. */
export interface DiskPart {
  part: number;
  of: number;
}

/** A configuration that an architecture's file cannot serve. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** The input of a backbone that reads square pictures. */
export const pictureInput = (side: number): SampleInput[] => [
  { name: 'pixels', shape: [3, side, side], dtype: 'f32' },
];
