import { input, parameter, sizeOf, type Tensor } from '../gpu-shaders/index.ts';
import type { Backbone, VisionOutput } from './backbones/backbone.ts';
import { type DiskPlace, locate } from './backbones/names.ts';
import type { Checkpoint } from './checkpoints/safetensors.ts';
import type { ModuleCard } from './describe.ts';
import { type Interception, Scope, type Weights } from './scope.ts';

/** A frozen parameter as the traced backbone reads it. */
interface StoredParameter extends DiskPlace {
  shape: readonly number[];
  dtype: 'f32' | 'f16';
}

/** A backbone with its configuration and the checkpoint its weights come from. */
export class Model<C = unknown> {
  readonly modules: ModuleCard[] = [];
  /** Elements of the parameters that the backbone reads, the statistics of batch norms left out. */
  readonly parameterCount: number;

  constructor(
    readonly backbone: Backbone<C>,
    readonly config: C,
    readonly checkpoint: Checkpoint,
  ) {
    this.parameterCount = this.survey();
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
    if (!part) return all;
    const size = all.length / part.of;
    return all.slice(part.part * size, (part.part + 1) * size);
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

  /** Traces the backbone once to list its modules and to count its parameters. */
  private survey(): number {
    const { backbone, config } = this;
    const weights = this.weights();
    const read = new Map<string, Tensor>();
    const scope = new Scope({
      weights: {
        has: weights.has,
        parameter: (path) => {
          read.set(path, weights.parameter(path));
          return read.get(path)!;
        },
      },
      interceptions: [],
      observe: (path, kind, weight, { groups = 1 }) =>
        this.modules.push({
          path,
          kind,
          shape: [...weight.shape],
          grouped: groups > 1,
          block: backbone.blockOf(path, config),
        }),
    });
    const side = backbone.imageSize(config).default;
    backbone.forward(scope, input('pixels', [1, 3, side, side], { sample: true }), config);
    return [...read]
      .filter(([path]) => !/\.running_(mean|var)$/.test(path))
      .reduce((n, [, t]) => n + sizeOf(t.shape), 0);
  }
}
