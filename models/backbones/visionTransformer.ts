import {
  broadcastTo,
  concat,
  mul,
  nchwToNhwc,
  reshape,
  slice,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { ModulePreset } from '../describe.ts';
import type { Scope } from '../scope.ts';
import { ConfigError, type SampleSize } from './backbone.ts';
import type { Grid } from './positions.ts';
import { type Activation, readActivation, readNumber, readPair, requireOption } from './readConfig.ts';

/** What the configurations of ViT and DINOv2 share. */
export interface TransformerConfig {
  hidden: number;
  blocks: number;
  heads: number;
  eps: number;
  activation: Activation;
  /** Pixels [height, width] that the position embeddings were made for, and those of a patch. */
  imageSize: [number, number];
  patch: [number, number];
}

export function readTransformer(
  config: JsonObject,
  defaults: { eps: number; patch: number },
): TransformerConfig {
  requireOption(config, 'num_channels', 3);
  const hidden = readNumber(config, 'hidden_size', 768);
  const heads = readNumber(config, 'num_attention_heads', 12);
  if (hidden % heads)
    throw new ConfigError(
      `config.json has hidden_size ${hidden}, which ${heads} attention heads cannot share.`,
    );
  return {
    hidden,
    heads,
    blocks: readNumber(config, 'num_hidden_layers', 12),
    eps: readNumber(config, 'layer_norm_eps', defaults.eps),
    activation: readActivation(config, 'hidden_act', 'gelu'),
    imageSize: readPair(config, 'image_size', 224),
    patch: readPair(config, 'patch_size', defaults.patch),
  };
}

/** Patches of pixels [B, 3, H, W]; a rest smaller than a patch is left out, as PyTorch's convolution does. */
export function patchGrid(height: number, width: number, [ph, pw]: readonly [number, number]): Grid {
  return { height: Math.floor(height / ph), width: Math.floor(width / pw) };
}

/** Patch tokens [B, patches, D] of pixels [B, 3, H, W], row by row. */
export function patchTokens(scope: Scope, pixels: Tensor, config: TransformerConfig): Tensor {
  return squarePatches(scope.child('patch_embeddings'), 'projection', pixels, config);
}

/** The same by the convolution `name`. */
export function squarePatches(
  scope: Scope,
  name: string,
  pixels: Tensor,
  { patch, hidden }: Pick<TransformerConfig, 'patch' | 'hidden'>,
): Tensor {
  const [batch, , height, width] = pixels.shape;
  if (patch[0] !== patch[1])
    throw new ConfigError(
      `config.json has patches of ${patch[0]} × ${patch[1]}; only square ones are supported.`,
    );
  const grid = patchGrid(height, width, patch);
  const maps = scope.conv2d(nchwToNhwc(pixels), name, { stride: patch[0] });
  return reshape(maps, [batch, grid.height * grid.width, hidden]);
}

/** Learnt tokens [1, n, D] before `tokens` [B, T, D], the same for every picture. */
export function prepend(learnt: readonly Tensor[], tokens: Tensor): Tensor {
  const [batch, , hidden] = tokens.shape;
  return concat([...learnt.map((t) => broadcastTo(t, [batch, t.shape.at(-2)!, hidden])), tokens], 1);
}

/** Self-attention with separate projections, x [B, T, D]. */
export function selfAttention(scope: Scope, x: Tensor, heads: number): Tensor {
  const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((name) => scope.linear(x, name));
  return scope.linear(scope.attention(q, k, v, { heads }), 'o_proj');
}

export function mlp(scope: Scope, x: Tensor, activation: Activation): Tensor {
  return scope.linear(activation(scope.linear(x, 'fc1')), 'fc2');
}

/** down(silu(gate(x)) · up(x)) */
export function gatedMlp(scope: Scope, x: Tensor, activation: Activation): Tensor {
  return scope.linear(mul(activation(scope.linear(x, 'gate_proj')), scope.linear(x, 'up_proj')), 'down_proj');
}

/** The class token of x [B, T, D]: [B, D]. */
export function classToken(x: Tensor): Tensor {
  const [batch, , hidden] = x.shape;
  return reshape(slice(x, [0, 0, 0], [batch, 1, hidden]), [batch, hidden]);
}

/** Input sides: the native one where it is moderate, 16 patches of a model that was made for very large pictures. */
export function patchedSides({ imageSize: [native], patch: [patch] }: TransformerConfig): SampleSize {
  const upTo = (side: number) => Math.floor(side / patch) * patch;
  return {
    default: native > 384 ? upTo(224) : native,
    min: 2 * patch,
    max: Math.max(native, upTo(518)),
    multiple: patch,
    unit: 'px',
  };
}

/** Presets by the suffixes that ViT and DINOv2 share; `block` gives a block's path. */
export function transformerPresets(
  blocks: number,
  block: (i: number) => string,
  mlpNames: readonly string[],
): ModulePreset[] {
  const attention = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];
  const last = Math.ceil(blocks / 3);
  const inLast = Array.from({ length: last }, (_, i) => block(blocks - last + i)).flatMap((path) => [
    ...attention.map((name) => `${path}.attention.${name}`),
    ...mlpNames.map((name) => `${path}.mlp.${name}`),
  ]);
  return [
    { id: 'query-value', label: 'Query and value', targets: ['q_proj', 'v_proj'] },
    { id: 'attention', label: 'Attention', targets: attention },
    { id: 'all-linear', label: 'All linear layers', targets: ['all-linear'] },
    {
      id: 'last-blocks',
      label:
        last === 1 ? 'All linear layers of the last block' : `All linear layers of the last ${last} blocks`,
      targets: inLast,
    },
  ];
}
