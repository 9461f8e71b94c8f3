import { add, attention, conv2d, layerNorm, linear, type Tensor } from '../gpu-shaders/index.ts';

/** Reads a frozen weight by its module path; the answer may be f32 or packed f16. */
export interface Weights {
  has(path: string): boolean;
  parameter(path: string): Tensor;
}

/** A linear or convolutional layer being applied, as a method sees it. */
export interface LayerCall {
  /** Module path, e.g. `vit.layers.0.attention.q_proj`. */
  path: string;
  kind: 'linear' | 'conv2d';
  /** The layer's input: [..., in], or NHWC for a convolution. */
  x: Tensor;
  /** Weight as the checkpoint stores it. */
  weight: Tensor;
  options: ConvOptions;
  /** Computes the layer as it stands below this method. */
  frozen(): Tensor;
}

export interface ConvOptions {
  stride?: number;
  /** Pixels on every side, or TensorFlow's `same`. */
  padding?: number | 'same';
  groups?: number;
}

/** What a method may do while a backbone is being traced. Each may decline by returning null. */
export interface Interception {
  /** Answers a layer call at the paths it targets. */
  layer?(call: LayerCall): Tensor | null;
  /** Stands in for a frozen parameter. */
  parameter?(path: string, frozen: Tensor): Tensor | null;
}

/** Told of every layer that is traced, whatever answers it. */
export type LayerObserver = (
  path: string,
  kind: 'linear' | 'conv2d',
  weight: Tensor,
  options: ConvOptions,
) => void;

/** What a scope shares with all scopes below it. */
export interface Surroundings {
  weights: Weights;
  interceptions: readonly Interception[];
  observe?: LayerObserver;
}

/**
 * A place in the module tree of a backbone. It reads parameters by the checkpoint's own path and lets methods step
 * in; nothing in a backbone knows a method.
 */
export class Scope {
  constructor(
    readonly surroundings: Surroundings,
    readonly path = '',
  ) {}

  child(name: string | number): Scope {
    return new Scope(this.surroundings, this.pathOf(`${name}`));
  }

  /** Path of a member of this module. */
  pathOf(name: string): string {
    return this.path ? `${this.path}.${name}` : name;
  }

  has(name: string): boolean {
    return this.surroundings.weights.has(this.pathOf(name));
  }

  /** The parameter `name` of this module, as methods leave it. */
  weight(name: string): Tensor {
    const path = this.pathOf(name);
    let value = this.surroundings.weights.parameter(path);
    for (const i of this.surroundings.interceptions) value = i.parameter?.(path, value) ?? value;
    return value;
  }

  /** Linear layer `name`: x [..., in] to [..., out]; its bias is used where the checkpoint has one. */
  linear(x: Tensor, name: string): Tensor {
    const module = this.child(name);
    const w = module.weight('weight');
    const bias = module.has('bias') ? module.weight('bias') : undefined;
    return module.call('linear', x, w, {}, () => linear(x, w, bias));
  }

  /** Convolution `name` of NHWC activations; the weight is OIHW as in the checkpoint. */
  conv2d(x: Tensor, name: string, options: ConvOptions = {}): Tensor {
    const module = this.child(name);
    const w = module.weight('weight');
    const plain = () => {
      const y = conv2d(x, w, options);
      return module.has('bias') ? add(y, module.weight('bias')) : y;
    };
    return module.call('conv2d', x, w, options, plain);
  }

  layerNorm(x: Tensor, name: string, eps: number): Tensor {
    const module = this.child(name);
    return layerNorm(x, module.weight('weight'), module.has('bias') ? module.weight('bias') : null, eps);
  }

  /** Softmax attention of q, k, v [B, T, heads × d], straight from their projections. */
  attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    options: { heads: number; scale?: number; causal?: boolean },
  ): Tensor {
    return attention(q, k, v, options);
  }

  private call(
    kind: LayerCall['kind'],
    x: Tensor,
    weight: Tensor,
    options: ConvOptions,
    plain: () => Tensor,
  ): Tensor {
    const { interceptions, observe } = this.surroundings;
    observe?.(this.path, kind, weight, options);
    // The first method is the innermost: each sees the layer as those before it left it.
    const answer = interceptions.reduce(
      (frozen, i) => () => i.layer?.({ path: this.path, kind, x, weight, options, frozen }) ?? frozen(),
      plain,
    );
    return answer();
  }
}
