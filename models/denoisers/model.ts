import { input, parameter, sizeOf, type Tensor } from '../../gpu-shaders/index.ts';
import { locate } from '../backbones/names.ts';
import type { HuggingFaceFolder } from '../checkpoints/folder.ts';
import type { Checkpoint } from '../checkpoints/safetensors.ts';
import type { AttentionCard, BranchCard, ModuleCard } from '../describe.ts';
import { addProduct } from '../methods/merge.ts';
import type { LowRankUpdate, ModelDescription } from '../methods/method.ts';
import { noting } from '../places.ts';
import { type Interception, Scope, type Weights } from '../scope.ts';
import type { Conditions, DenoiserInputs, LatentShape } from './denoiser.ts';
import { type AnyDenoiser, denoiserFor } from './index.ts';
import { configureVae, decode, encode, type VaeConfig, vaeDiskName } from './vae.ts';

/** Module paths are those of files; only old autoencoders differ. */
interface Naming {
  diskName(path: string): string;
  basePrefix: string;
}

const asOnDisk: Naming = { diskName: (path) => path, basePrefix: '' };

/** Frozen weights of a diffusers checkpoint by their path; `merged` stand in for those that an adapter changed. */
export class DiffusersWeights {
  constructor(
    readonly checkpoint: Checkpoint,
    private readonly naming: Naming = asOnDisk,
    private readonly merged: ReadonlyMap<string, Float32Array> = new Map(),
  ) {}

  /** The same weights with low-rank updates folded in. */
  async withUpdates(updates: readonly LowRankUpdate[]): Promise<DiffusersWeights> {
    const merged = new Map(this.merged);
    for (const update of updates) {
      const path = `${update.path}.weight`;
      merged.set(path, addProduct(merged.get(path) ?? (await this.f32(path)), update));
    }
    return new DiffusersWeights(this.checkpoint, this.naming, merged);
  }

  has(path: string): boolean {
    return locate(this.checkpoint, this.naming, path) !== undefined;
  }

  /** Weights as traced parameters: matrices keep a half-precision checkpoint's f16, vectors are widened to f32. */
  traced(): Weights {
    const known = new Map<string, Tensor>();
    return {
      has: (path) => this.has(path),
      parameter: (path) => {
        const found = known.get(path) ?? this.parameter(path);
        known.set(path, found);
        return found;
      },
    };
  }

  /** The frozen value of a parameter in the type that `traced` gave it. */
  async load(path: string): Promise<Float32Array | Uint8Array> {
    const name = this.nameOf(path);
    const merged = this.merged.get(path);
    if (merged) return merged;
    return this.isHalf(name) ? this.checkpoint.bytes(name) : this.checkpoint.f32(name);
  }

  /** The frozen value of a parameter, widened to f32. */
  async f32(path: string): Promise<Float32Array> {
    return this.merged.get(path) ?? this.checkpoint.f32(this.nameOf(path));
  }

  private parameter(path: string): Tensor {
    const name = this.nameOf(path);
    const { shape } = this.checkpoint.info(name);
    // Older autoencoders hold their attention's projections as 1×1 convolutions.
    const flat = /attentions\.0\.(query|key|value|proj_attn)\.weight$/.test(name) ? shape.slice(0, 2) : shape;
    const half = this.isHalf(name) && !this.merged.has(path);
    return parameter(path, flat, { dtype: half ? 'f16' : 'f32' });
  }

  private isHalf(name: string): boolean {
    const { dtype, shape } = this.checkpoint.info(name);
    return dtype === 'F16' && shape.length > 1;
  }

  /** Throws `CheckpointError` where the checkpoint lacks it. */
  private nameOf(path: string): string {
    return locate(this.checkpoint, this.naming, path)?.name ?? path;
  }
}

/** Sizes of a batch that a denoiser is traced for. */
export interface BatchShape {
  batch: number;
  /** Sides of the latents; the native ones by default. */
  height?: number;
  width?: number;
  /** Condition tokens of each sample, where the denoiser reads any. */
  tokens?: number;
}

/** A denoiser with its configuration and weights: what methods attach to and what the sampler runs. */
export class DenoiserModel implements ModelDescription {
  readonly modules: ModuleCard[] = [];
  readonly branches: BranchCard[] = [];
  readonly attentions: AttentionCard[] = [];
  readonly norms: { path: string; block: number }[] = [];
  readonly parameters: readonly { path: string; shape: readonly number[]; block: number }[];
  readonly parameterCount: number;

  constructor(
    readonly denoiser: AnyDenoiser,
    readonly config: unknown,
    readonly weights: DiffusersWeights,
  ) {
    this.parameters = this.survey();
    this.parameterCount = this.parameters.reduce((n, { shape }) => n + sizeOf(shape), 0);
  }

  get blocks(): number {
    return this.denoiser.blocks(this.config);
  }

  get conditions(): Conditions {
    return this.denoiser.conditions(this.config);
  }

  get latents(): LatentShape {
    return this.denoiser.latents(this.config);
  }

  /** Inputs of a trace, by the names that a program is written by: `latents`, `t`, and what the denoiser is told. */
  inputs({ batch, tokens = 1, ...sides }: BatchShape): DenoiserInputs {
    const { channels, height, width } = { ...this.latents, ...sides };
    const { classes, context } = this.conditions;
    return {
      latents: input('latents', [batch, channels, height, width], { sample: true }),
      t: input('t', [batch], { sample: true }),
      ...(classes ? { label: input('label', [batch], { dtype: 'u32', sample: true }) } : {}),
      ...(context ? { context: input('context', [batch, tokens, context], { sample: true }) } : {}),
    };
  }

  /** Traces the prediction of a batch, with methods stepping in. */
  trace(inputs: DenoiserInputs, interceptions: readonly Interception[] = []): Tensor {
    const scope = new Scope({ weights: this.weights.traced(), interceptions });
    return this.denoiser.forward(scope, inputs, this.config);
  }

  /** This denoiser with low-rank updates folded into its weights. */
  async adapted(updates: readonly LowRankUpdate[]): Promise<DenoiserModel> {
    return new DenoiserModel(this.denoiser, this.config, await this.weights.withUpdates(updates));
  }

  /** Traces once: lists the places where methods may attach, and gives the parameters that are read. */
  private survey(): { path: string; shape: readonly number[]; block: number }[] {
    const weights = this.weights.traced();
    const read = new Map<string, Tensor>();
    const block = (path: string) => this.denoiser.blockOf(`${path}.`, this.config);
    const parameterOf = (path: string) => {
      read.set(path, weights.parameter(path));
      return read.get(path)!;
    };
    const scope = new Scope({
      weights: { has: weights.has, parameter: parameterOf },
      interceptions: [],
      observe: noting(this, block),
    });
    this.denoiser.forward(scope, this.inputs({ batch: 1 }), this.config);
    return [...read].map(([path, { shape }]) => ({ path, shape, block: block(path) }));
  }
}

/** A denoiser's folder, ready to trace. Throws `ConfigError` or `CheckpointError`. */
export function openDenoiser({ config, checkpoint }: HuggingFaceFolder): DenoiserModel {
  const denoiser = denoiserFor(config);
  return new DenoiserModel(denoiser, denoiser.configure(config), new DiffusersWeights(checkpoint));
}

/** An autoencoder's folder, ready to trace. */
export class Autoencoder {
  readonly config: VaeConfig;
  readonly weights: DiffusersWeights;

  /** Throws `ConfigError` for what is not supported. */
  constructor({ config, checkpoint }: HuggingFaceFolder) {
    this.config = configureVae(config);
    this.weights = new DiffusersWeights(checkpoint, { diskName: vaeDiskName, basePrefix: '' });
  }

  /** Mean and logarithm of the variance of pixels [B, 3, H, W] in -1…1. */
  encode(pixels: Tensor) {
    return encode(this.scope(), pixels, this.config);
  }

  /** Pixels of latents on the autoencoder's own scale. */
  decode(latents: Tensor): Tensor {
    return decode(this.scope(), latents, this.config);
  }

  private scope(): Scope {
    return new Scope({ weights: this.weights.traced(), interceptions: [] });
  }
}
