import { input, parameter, type Tensor } from '../gpu-shaders/index.ts';
import type { Backbone, VisionOutput } from './backbones/backbone.ts';
import type { Checkpoint } from './checkpoints/safetensors.ts';
import type { ModuleCard } from './describe.ts';
import { type Interception, Scope, type Weights } from './scope.ts';

/** A backbone with its configuration and the checkpoint its weights come from. */
export class Model<C = unknown> {
  readonly modules: ModuleCard[];

  constructor(
    readonly backbone: Backbone<C>,
    readonly config: C,
    readonly checkpoint: Checkpoint,
  ) {
    this.modules = this.listModules();
  }

  get blocks(): number {
    return this.backbone.blocks(this.config);
  }

  /** Weights as traced parameters: matrices keep a half-precision checkpoint's f16, vectors are widened to f32. */
  weights(): Weights {
    const known = new Map<string, Tensor>();
    const { checkpoint, backbone } = this;
    const names = new Set(checkpoint.names());
    return {
      has: (path) => names.has(backbone.diskName(path)),
      parameter: (path) => {
        let t = known.get(path);
        if (!t) {
          const info = checkpoint.info(backbone.diskName(path));
          t = parameter(path, info.shape, { dtype: storedHalf(info) ? 'f16' : 'f32' });
          known.set(path, t);
        }
        return t;
      },
    };
  }

  /** The frozen value of a parameter in the type that `weights` gave it. */
  async load(path: string): Promise<Float32Array | Uint8Array> {
    const name = this.backbone.diskName(path);
    return storedHalf(this.checkpoint.info(name)) ? this.checkpoint.bytes(name) : this.checkpoint.f32(name);
  }

  /** Traces the backbone on pixels [batch, 3, side, side], with methods stepping in. */
  trace(pixels: Tensor, interceptions: readonly Interception[] = []): VisionOutput {
    const scope = new Scope({ weights: this.weights(), interceptions });
    return this.backbone.forward(scope, pixels, this.config);
  }

  private listModules(): ModuleCard[] {
    const modules: ModuleCard[] = [];
    const side = this.backbone.imageSize(this.config).default;
    const scope = new Scope({
      weights: this.weights(),
      interceptions: [],
      observe: (path, kind, weight, { groups = 1 }) =>
        modules.push({
          path,
          kind,
          shape: [...weight.shape],
          grouped: groups > 1,
          block: this.backbone.blockOf(path, this.config),
        }),
    });
    this.backbone.forward(scope, input('pixels', [1, 3, side, side], { sample: true }), this.config);
    return modules;
  }
}

function storedHalf(info: { dtype: string; shape: readonly number[] }): boolean {
  return info.dtype === 'F16' && info.shape.length > 1;
}
