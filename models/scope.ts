import {
  add,
  attention,
  conv2d,
  gatherRows,
  layerNorm,
  linear,
  pad,
  rmsNorm,
  type Tensor,
} from '../gpu-shaders/index.ts';
import type { BranchCard } from './describe.ts';

/** Reads a frozen weight by its module path; the answer may be f32 or packed: f16, int8, nf4. */
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
  /** Bias [out], where the checkpoint has one: `frozen()` holds it, `apply` does not. */
  bias?: Tensor;
  options: ConvOptions;
  /** Computes the layer as it stands below this method. */
  frozen(): Tensor;
  /** The layer's product of `x` with another weight of its shape, without a bias. */
  apply(weight: Tensor, x?: Tensor): Tensor;
}

/** A residual branch being applied: its result is added to `x`. */
export interface BranchCall {
  /** Path of the module that computes it, e.g. `vit.layers.0.mlp`. */
  path: string;
  kind: BranchCard['kind'];
  /** The stream that the branch reads and is added to, [B, T, D] or NHWC, before any norm. */
  x: Tensor;
  /** Computes the branch as it stands below this method. */
  frozen(): Tensor;
}

/**
 * Softmax attention of q [B, Tq, heads × d] with k, v [B, Tk, key heads × d] being applied, between the projections.
 */
export interface AttentionCall {
  /** Path of the attention's module, e.g. `vit.layers.0.attention`. */
  path: string;
  q: Tensor;
  k: Tensor;
  v: Tensor;
  options: AttentionOptions;
  /** Computes it as it stands below this method, of other queries, keys and values where they are given. */
  frozen(q?: Tensor, k?: Tensor, v?: Tensor): Tensor;
}

export interface AttentionOptions {
  heads: number;
  /** Of the scores; 1/√d by default. */
  scale?: number;
  /** Query i sees keys up to i + Tk - Tq. */
  causal?: boolean;
  /** Added to the scaled scores, broadcast: [B|1, H|1, Tq|1, Tk]; large negative numbers mask. */
  bias?: Tensor | null;
}

export interface ConvOptions {
  /** Of both axes, or of rows and of columns. */
  stride?: number | readonly [number, number];
  /** Pixels on every side, or TensorFlow's `same`. */
  padding?: number | 'same';
  dilation?: number;
  groups?: number;
}

/** Whether a convolution leaves places out. */
export const isStrided = ({ stride = 1 }: ConvOptions): boolean =>
  (typeof stride === 'number' ? stride : Math.max(...stride)) > 1;

/** What a method may do while a backbone is being traced. Each may decline by returning null. */
export interface Interception {
  /** Answers a layer call at the paths it targets. */
  layer?(call: LayerCall): Tensor | null;
  /** Stands in for a frozen parameter. */
  parameter?(path: string, frozen: Tensor): Tensor | null;
  /** Answers a residual branch. */
  branch?(call: BranchCall): Tensor | null;
  /** Answers an attention. */
  attention?(call: AttentionCall): Tensor | null;
  /** Stands in for the embedded tokens x [B, T, D]. More may be added, behind the first `ahead` of them. */
  tokens?(x: Tensor, ahead: number): Tensor | null;
}

/** Told of every place that is traced, whatever answers it. */
export interface Observer {
  layer(path: string, kind: LayerCall['kind'], weight: Tensor, options: ConvOptions): void;
  branch(path: string, kind: BranchCard['kind'], x: Tensor): void;
  attention(path: string, q: Tensor, k: Tensor, options: AttentionOptions): void;
  layerNorm(path: string): void;
  /** The place where learnt tokens may be added. */
  tokens?(): void;
}

/** What a scope shares with all scopes below it. */
export interface Surroundings {
  weights: Weights;
  interceptions: readonly Interception[];
  observe?: Observer;
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
    return module.call({ kind: 'linear', x, weight: w, bias, options: {} }, () => linear(x, w, bias));
  }

  /** Convolution `name` of NHWC activations; the weight is OIHW as in the checkpoint. */
  conv2d(x: Tensor, name: string, options: ConvOptions = {}): Tensor {
    const module = this.child(name);
    const w = module.weight('weight');
    const bias = module.has('bias') ? module.weight('bias') : undefined;
    const plain = () => {
      const y = conv2d(x, w, options);
      return bias ? add(y, bias) : y;
    };
    return module.call({ kind: 'conv2d', x, weight: w, bias, options }, plain);
  }

  layerNorm(x: Tensor, name: string, eps: number): Tensor {
    const module = this.child(name);
    this.surroundings.observe?.layerNorm(module.path);
    return layerNorm(x, module.weight('weight'), module.has('bias') ? module.weight('bias') : null, eps);
  }

  /** Root-mean-square norm `name`: a weight, no bias. */
  rmsNorm(x: Tensor, name: string, eps: number): Tensor {
    const module = this.child(name);
    this.surroundings.observe?.layerNorm(module.path);
    return rmsNorm(x, module.weight('weight'), eps);
  }

  /** Rows of the table `name` [V, D] that u32 ids [...] name: [..., D]. */
  embedding(ids: Tensor, name: string): Tensor {
    return gatherRows(this.child(name).weight('weight'), ids);
  }

  /** Softmax attention of this module's q, k, v, straight from their projections. */
  attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
    const { interceptions, observe } = this.surroundings;
    observe?.attention(this.path, q, k, options);
    type Answer = AttentionCall['frozen'];
    const answer = interceptions.reduce<Answer>(
      (frozen, i) =>
        (q2 = q, k2 = k, v2 = v) =>
          i.attention?.({ path: this.path, q: q2, k: k2, v: v2, options, frozen }) ?? frozen(q2, k2, v2),
      (q2 = q, k2 = k, v2 = v) => attention(q2, k2, v2, withKeys(options, k2.shape[1])),
    );
    return answer();
  }

  /** The stream x with the branch that module `name` computes added to it. */
  residual(x: Tensor, name: string, kind: BranchCard['kind'], plain: () => Tensor): Tensor {
    const { interceptions, observe } = this.surroundings;
    const path = this.pathOf(name);
    observe?.branch(path, kind, x);
    const answer = interceptions.reduce(
      (frozen, i) => () => i.branch?.({ path, kind, x, frozen }) ?? frozen(),
      plain,
    );
    return add(answer(), x);
  }

  /**
   * Embedded tokens x [B, T, D] as methods leave them: there may be more, behind the first `ahead`. That is the class
   * token of a picture; learnt tokens stand before all those of a text.
   */
  tokens(x: Tensor, ahead = 1): Tensor {
    this.surroundings.observe?.tokens?.();
    return this.surroundings.interceptions.reduce((tokens, i) => i.tokens?.(tokens, ahead) ?? tokens, x);
  }

  private call(
    layer: Pick<LayerCall, 'kind' | 'x' | 'weight' | 'bias' | 'options'>,
    plain: () => Tensor,
  ): Tensor {
    const { kind, x, weight, options } = layer;
    const { interceptions, observe } = this.surroundings;
    observe?.layer(this.path, kind, weight, options);
    const apply = (w: Tensor, of: Tensor = x) => (kind === 'linear' ? linear(of, w) : conv2d(of, w, options));
    // The first method is the innermost: each sees the layer as those before it left it.
    const answer = interceptions.reduce(
      (frozen, i) => () => i.layer?.({ ...layer, path: this.path, frozen, apply }) ?? frozen(),
      plain,
    );
    return answer();
  }
}

/** The options for keys that a method put more of in front, which every query sees. */
function withKeys(options: AttentionOptions, keys: number): AttentionOptions {
  const { bias } = options;
  if (!bias || bias.shape[3] === keys) return options;
  return { ...options, bias: pad(bias, [0, 0, 0, keys - bias.shape[3]], [0, 0, 0, 0]) };
}
