import type { Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { ModulePreset } from '../describe.ts';
import type { Scope } from '../scope.ts';

/** What a denoiser reads: a batch of noised latents and what is known of them. */
export interface DenoiserInputs {
  /** [B, C, H, W]. */
  latents: Tensor;
  /** The scheduler's timestep of each, f32 [B]; it need not be whole. */
  t: Tensor;
  /** Class numbers, u32 [B]; where the denoiser has classes. */
  label?: Tensor;
  /** Condition tokens [B, T, width]; where the denoiser has cross-attention. */
  context?: Tensor;
}

/** What a denoiser may be told beside the latents and the time. */
export interface Conditions {
  /** Rows of the table of classes; 0 where there is none. */
  classes: number;
  /** The class that stands for none, where the architecture has one. */
  nullClass: number | null;
  /** Width of the condition tokens that cross-attention reads; 0 where there is none. */
  context: number;
}

/** The latents that it is made for, without the batch. */
export interface LatentShape {
  channels: number;
  height: number;
  width: number;
}

/**
 * One architecture that predicts noise, a velocity or a clean picture, under diffusers' own module names and checkpoint
 * layout. `C` is its configuration as this file understands it. Like a backbone it is a plain function of a scope.
 */
export interface Denoiser<C = unknown> {
  /** diffusers' `_class_name`. */
  className: string;
  title: string;
  /** Reads a configuration; throws `ConfigError` naming the option that is not supported. */
  configure(config: JsonObject): C;
  conditions(config: C): Conditions;
  latents(config: C): LatentShape;
  /** Sides of latents must be multiples of this. */
  multiple(config: C): number;
  /**
   * The prediction [B, C', H, W]. C' may be more than the latents' channels: variances that the network learnt follow.
   */
  forward(scope: Scope, inputs: DenoiserInputs, config: C): Tensor;
  blocks(config: C): number;
  /** Block index of a module path, for drawing: -1 before the first, `blocks` after the last. */
  blockOf(path: string, config: C): number;
  /** Choices of target modules; the first is the default. */
  presets(config: C): ModulePreset[];
}
