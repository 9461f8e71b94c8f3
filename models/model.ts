import { input, parameter, sizeOf, type Tensor } from '../gpu-shaders/index.ts';
import type { Backbone, DiskPart, VisionOutput } from './backbones/backbone.ts';
import { type DiskPlace, locate } from './backbones/names.ts';
import type { Checkpoint } from './checkpoints/safetensors.ts';
import type { AttentionCard, BranchCard, ModuleCard } from './describe.ts';
import type { ModelDescription } from './methods/method.ts';
import { type Interception, Scope, type Weights } from './scope.ts';

/** A frozen parameter as the traced backbone reads it. */
interface StoredParameter extends DiskPlace {
  shape: readonly number[];
  dtype: 'f32' | 'f16';
}

/** A backbone with its configuration and the checkpoint its weights come from. */
export class Model<C = unknown> implements ModelDescription {
  readonly modules: ModuleCard[] = [];
  readonly branches: BranchCard[] = [];
  readonly attentions: AttentionCard[] = [];
  readonly norms: { path: string; block: number }[] = [];
  /** Parameters that the backbone reads, the statistics of batch norms left out. */
  readonly parameters: readonly { path: string; shape: readonly number[]; block: number }[];
  /** Elements of the parameters that the backbone reads, the statistics of batch norms left out. */
  readonly parameterCount: number;

  constructor(
    readonly backbone: Backbone<C>,
    readonly config: C,
    readonly checkpoint: Checkpoint,
  ) {
    this.parameters = this.survey();
    this.parameterCount = this.parameters.reduce((n, { shape }) => n + sizeOf(shape), 0);
  }

  get blocks(): number {
    return this.backbone.blocks(this.config);
  }

  /** Weights as traced parameters: matrices keep a half-precision checkpoint's f16, vectors are widened to f32. */
  weights(): Weights {
    const known = new Map<string, Tensor>();
    return {
      has: (path) => locate(this.checkpoint, this.backbone, path) !== undefined,
      parameter: (path) => {
        let t = known.get(path);
        if (!t) {
          const { shape, dtype } = this.stored(path);
          t = parameter(path, shape, { dtype });
          known.set(path, t);
        }
        return t;
      },
    };
  }

  /** The frozen value of a parameter in the type that `weights` gave it. */
  async load(path: string): Promise<Float32Array | Uint8Array> {
    const { name, part, dtype } = this.stored(path);
    const all = dtype === 'f16' ? await this.checkpoint.bytes(name) : await this.checkpoint.f32(name);
    return part ? bandOf(all, part) : all;
  }

  /** The frozen value of a parameter, widened to f32. */
  async f32(path: string): Promise<Float32Array> {
    const { name, part } = this.stored(path);
    const all = await this.checkpoint.f32(name);
    return part ? bandOf(all, part) : all;
  }

  /** Traces the backbone on pixels [batch, 3, side, side], with methods stepping in. */
  trace(pixels: Tensor, interceptions: readonly Interception[] = []): VisionOutput {
    const scope = new Scope({ weights: this.weights(), interceptions });
    return this.backbone.forward(scope, pixels, this.config);
  }

  /** Throws `CheckpointError` where the checkpoint lacks it. */
  private stored(path: string): StoredParameter {
    const place = locate(this.checkpoint, this.backbone, path) ?? { name: this.backbone.diskName(path) };
    const info = this.checkpoint.info(place.name);
    const [rows, ...rest] = info.shape;
    const shape = place.part ? [rows / place.part.of, ...rest] : info.shape;
    return { ...place, shape, dtype: info.dtype === 'F16' && shape.length > 1 ? 'f16' : 'f32' };
  }

  /** Traces the backbone once: lists the places where methods may attach, and gives the parameters it reads. */
  private survey(): { path: string; shape: readonly number[]; block: number }[] {
    const { backbone, config } = this;
    const weights = this.weights();
    const read = new Map<string, Tensor>();
    const block = (path: string) => backbone.blockOf(`${path}.`, config);
    const scope = new Scope({
      weights: {
        has: weights.has,
        parameter: (path) => {
          read.set(path, weights.parameter(path));
          return read.get(path)!;
        },
      },
      interceptions: [],
      observe: {
        layer: (path, kind, weight, { groups = 1 }) =>
          this.modules.push({
            path,
            kind,
            shape: [...weight.shape],
            grouped: groups > 1,
            block: block(path),
          }),
        branch: (path, kind, x) =>
          this.branches.push({ path, kind, width: x.shape.at(-1)!, block: block(path) }),
        attention: (path, q, { heads }) =>
          this.attentions.push({ path, heads, width: q.shape.at(-1)!, block: block(path) }),
        layerNorm: (path) => this.norms.push({ path, block: block(path) }),
      },
    });
    const side = backbone.imageSize(config).default;
    backbone.forward(scope, input('pixels', [1, 3, side, side], { sample: true }), config);
    return [...read]
      .filter(([path]) => !/\.running_(mean|var)$/.test(path))
      .map(([path, { shape }]) => ({ path, shape, block: block(path) }));
  }
}

function bandOf<A extends Float32Array | Uint8Array>(all: A, { part, of }: DiskPart): A {
  const size = all.length / of;
  return all.slice(part * size, (part + 1) * size) as A;
}
