import { gelu, reshape, slice, type Tensor, transpose } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { ConvOptions, Scope } from '../scope.ts';
import { ConfigError } from './backbone.ts';
import { batchNorm } from './batchNorm.ts';
import { readNumber, readNumbers } from './readConfig.ts';
import { mlp } from './visionTransformer.ts';
import { fromWindows, padToWindows, pairBias, toWindows } from './windows.ts';

/** TinyViT's sizes, as its constructors take them. The first stage is of convolutions, the others attend within windows. */
export interface TinyVitConfig {
  widths: number[];
  depths: number[];
  heads: number[];
  windows: number[];
  /** Kernel of the depthwise convolution between attention and perceptron. */
  local: number;
  imageSize: number;
}

/** PyTorch's own of both kinds of norms. */
export const EPS = 1e-5;

/** Reads `args` over the sizes that the architecture's name stands for. Throws `ConfigError`. */
export function readTinyVit(
  args: JsonObject,
  sizes: Omit<TinyVitConfig, 'local' | 'imageSize'>,
  imageSize: number,
): TinyVitConfig {
  const config = {
    widths: readNumbers(args, 'embed_dims', sizes.widths),
    depths: readNumbers(args, 'depths', sizes.depths),
    heads: readNumbers(args, 'num_heads', sizes.heads),
    windows: readNumbers(args, 'window_sizes', sizes.windows),
    local: readNumber(args, 'local_conv_size', 3),
    imageSize,
  };
  const stages = config.depths.length;
  for (const name of ['widths', 'heads', 'windows'] as const)
    if (config[name].length !== stages)
      throw new ConfigError(
        `config.json has ${stages} depths, but ${config[name].length} ${name}; each stage needs one of both.`,
      );
  return config;
}

/** Convolution and norm, whose names the library chooses. */
export type Convolved = (scope: Scope, x: Tensor, options?: ConvOptions) => Tensor;

export const convolvedBy =
  (convolution: string): Convolved =>
  (scope, x, options) =>
    batchNorm(scope.child('bn'), scope.conv2d(x, convolution, options), EPS);

/** Two convolutions of stride 2, x [B, H, W, 3] to a quarter of its sides. */
export function patchEmbedding(first: Scope, second: Scope, x: Tensor, conv: Convolved): Tensor {
  return conv(second, gelu(conv(first, x, { stride: 2, padding: 1 })), { stride: 2, padding: 1 });
}

/** 1×1, depthwise 3×3, 1×1, of x as block `index` of `blocks`; the activation comes behind the sum. */
export function convolutionBlock(blocks: Scope, index: number, x: Tensor, conv: Convolved): Tensor {
  const scope = blocks.child(index);
  const y = blocks.residual(x, `${index}`, 'conv', () => {
    const wide = gelu(conv(scope.child('conv1'), x));
    const h = gelu(conv(scope.child('conv2'), wide, { padding: 1, groups: wide.shape[3] }));
    return conv(scope.child('conv3'), h);
  });
  return gelu(y);
}

/** 1×1, depthwise 3×3 of a stride, 1×1: what makes a map smaller between stages. */
export function downsample(scope: Scope, x: Tensor, stride: number, conv: Convolved): Tensor {
  const wide = gelu(conv(scope.child('conv1'), x));
  const h = gelu(conv(scope.child('conv2'), wide, { stride, padding: 1, groups: wide.shape[3] }));
  return conv(scope.child('conv3'), h);
}

/** Attention within windows, a depthwise convolution, a perceptron: x [B, H, W, C]. */
export function attentionBlock(
  scope: Scope,
  x: Tensor,
  { heads, window, local, conv }: { heads: number; window: number; local: number; conv: Convolved },
): Tensor {
  const h = scope.residual(x, 'attn', 'attention', () =>
    windowAttention(scope.child('attn'), x, heads, window),
  );
  const near = conv(scope.child('local_conv'), h, { padding: local >> 1, groups: h.shape[3] });
  return scope.residual(near, 'mlp', 'mlp', () => {
    const inner = scope.child('mlp');
    return mlp(inner, inner.layerNorm(near, 'norm', EPS), (y) => gelu(y));
  });
}

/** A map is padded before the norm, so padding is seen as what the norm makes of zeros. */
function windowAttention(scope: Scope, x: Tensor, heads: number, side: number): Tensor {
  const { padded, grid } = padToWindows(x, side);
  const windows = toWindows(padded, grid);
  const [count, places, width] = windows.shape;
  const each = width / heads;
  const all = scope.linear(scope.layerNorm(windows, 'norm', EPS), 'qkv');
  // Each head has its query, key and value beside each other.
  const byHead = reshape(all, [count, places, heads, 3 * each]);
  const [q, k, v] = [0, 1, 2].map((part) =>
    reshape(slice(byHead, [0, 0, 0, part * each], [count, places, heads, each]), [count, places, width]),
  );
  const bias = pairBias(transpose(scope.weight('attention_biases'), [1, 0]), offsetEntries(side), places);
  const mixed = scope.linear(scope.attention(q, k, v, { heads, bias }), 'proj');
  return slice(fromWindows(mixed, grid), [0, 0, 0, 0], x.shape);
}

/** The bias that a pair of places reads: by its distance down and across, numbered as first met row by row. */
function offsetEntries(side: number): Uint32Array {
  const places = side * side;
  return Uint32Array.from({ length: places * places }, (_, i) => {
    const [a, b] = [Math.floor(i / places), i % places];
    // From the first place the others are met in order, so a distance has its own place's number.
    const down = Math.abs(Math.floor(a / side) - Math.floor(b / side));
    return down * side + Math.abs((a % side) - (b % side));
  });
}

/** Blocks of the stages before one. */
export const blocksBefore = (depths: readonly number[], stage: number): number =>
  depths.slice(0, stage).reduce((a, b) => a + b, 0);
