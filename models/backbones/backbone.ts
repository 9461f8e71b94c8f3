import type { Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { ModulePreset, Settings } from '../describe.ts';
import type { Scope } from '../scope.ts';

/** What a backbone computes from pictures. */
export interface VisionOutput {
  /** What the classification head reads: [B, features]. */
  features: Tensor;
  /** Last hidden state, [B, tokens, d] or NHWC [B, h, w, c]. */
  last: Tensor;
}

/**
 * One architecture under its library's own module names. `C` is its configuration as this file understands it.
 * The function `forward` is plain: a scope, an input, operations. Add one: a file here, a line in `index.ts`, a row
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
  /** Where that name stands for several run-time modules stacked along the first axis: which of how many this is. */
  diskPart?(path: string): DiskPart | undefined;
  /** What the task class puts before the bare model's names, e.g. `vit.`; empty where it puts nothing. */
  basePrefix: string;
  /** pixels [B, 3, H, W], preprocessed. */
  forward(scope: Scope, pixels: Tensor, config: C): VisionOutput;
  featureSize(config: C): number;
  blocks(config: C): number;
  /** Block index of a module path, for drawing: -1 before the first, `blocks` after the last. */
  blockOf(path: string, config: C): number;
  /** Path of the classification head's linear layer under the task class whose names the paths carry. */
  headPath: string;
  /** Class to load an adapter onto, e.g. `ViTForImageClassification`; `timm` for timm's own models. */
  taskClass: string;
  /** Choices of target modules; the first is the default. */
  presets(config: C): ModulePreset[];
  imageSize(config: C): { default: number; min: number; max: number; multiple: number };
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
