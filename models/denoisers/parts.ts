import {
  add,
  gelu,
  groupNorm,
  mul,
  plainAttention,
  reshape,
  type SinusoidOptions,
  silu,
  sinusoid,
  slice,
  type Tensor,
  transpose,
} from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';

/** Group norm `name` of NHWC x. */
export function normGroups(scope: Scope, x: Tensor, name: string, groups: number, eps: number): Tensor {
  const module = scope.child(name);
  return groupNorm(x, groups, module.weight('weight'), module.weight('bias'), eps);
}

/** The NHWC that everything works in, as the NCHW that latents are. */
export const nhwcToNchw = (x: Tensor): Tensor => transpose(x, [0, 3, 1, 2]);

/** Parts of equal size along the last axis. */
export function chunks(x: Tensor, count: number): Tensor[] {
  const size = x.shape.at(-1)! / count;
  return Array.from({ length: count }, (_, i) =>
    slice(
      x,
      x.shape.map((_, axis) => (axis === x.shape.length - 1 ? i * size : 0)),
      [...x.shape.slice(0, -1), size],
    ),
  );
}

/** `TimestepEmbedding` of t [B]: linear_2(silu(linear_1(sinusoid))). */
export function embedTime(scope: Scope, t: Tensor, width: number, options: SinusoidOptions): Tensor {
  return scope.linear(silu(scope.linear(sinusoid(t, width, options), 'linear_1')), 'linear_2');
}

/** Heads wider than the streaming kernels hold have their scores in memory. */
const MAX_HEAD = 128;

export interface AttentionShape {
  heads: number;
  /** What keys and values read; x itself by default. */
  context?: Tensor;
}

/** `Attention` of x [B, T, D]: to_q, to_k, to_v and the output projection to_out.0. */
export function attend(scope: Scope, x: Tensor, { heads, context = x }: AttentionShape): Tensor {
  const q = scope.linear(x, 'to_q');
  const [k, v] = ['to_k', 'to_v'].map((name) => scope.linear(context, name));
  const d = q.shape[2] / heads;
  const options = { heads, scale: d ** -0.5, causal: false };
  const mixed = d > MAX_HEAD ? plainAttention(q, k, v, options) : scope.attention(q, k, v, options);
  return scope.linear(mixed, 'to_out.0');
}

export type FeedForward = 'gelu' | 'gelu-approximate' | 'geglu';

/** `FeedForward`: net.0.proj, its activation, net.2. */
export function feedForward(scope: Scope, x: Tensor, activation: FeedForward): Tensor {
  const up = scope.linear(x, 'net.0.proj');
  if (activation !== 'geglu')
    return scope.linear(gelu(up, activation === 'gelu' ? 'exact' : 'tanh'), 'net.2');
  const [value, gate] = chunks(up, 2);
  return scope.linear(mul(value, gelu(gate)), 'net.2');
}

export interface ResnetShape {
  groups: number;
  eps: number;
  /** How the time enters: added, or as scale and shift of the second norm. */
  time: 'default' | 'scale_shift';
}

/** `ResnetBlock2D` of NHWC x, under the time embedding [B, D] where there is one. */
export function resnet(
  scope: Scope,
  x: Tensor,
  time: Tensor | null,
  { groups, eps, ...how }: ResnetShape,
): Tensor {
  let h = scope.conv2d(silu(normGroups(scope, x, 'norm1', groups, eps)), 'conv1', { padding: 1 });
  const projected = time ? scope.linear(silu(time), 'time_emb_proj') : null;
  const placed = projected && reshape(projected, [projected.shape[0], 1, 1, projected.shape[1]]);
  if (placed && how.time === 'default') h = add(h, placed);
  h = normGroups(scope, h, 'norm2', groups, eps);
  if (placed && how.time === 'scale_shift') {
    const [scale, shift] = chunks(placed, 2);
    h = add(mul(h, add(scale, 1)), shift);
  }
  h = scope.conv2d(silu(h), 'conv2', { padding: 1 });
  return add(scope.has('conv_shortcut.weight') ? scope.conv2d(x, 'conv_shortcut') : x, h);
}
