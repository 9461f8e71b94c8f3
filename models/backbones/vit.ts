import { add, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, linearHead, pictureInput } from './backbone.ts';
import { placePositions } from './positions.ts';
import {
  classToken,
  mlp,
  patchedSides,
  patchGrid,
  patchTokens,
  prepend,
  readTransformer,
  selfAttention,
  type TransformerConfig,
  transformerPresets,
} from './visionTransformer.ts';

/** Dosovitskiy et al., 2021 (arxiv.org/abs/2010.11929), as transformers' `ViTForImageClassification` computes it. */
export const vit: Backbone<TransformerConfig> = {
  family: 'vit',
  title: 'Vision Transformer',
  accepts: (config) => config.model_type === 'vit',
  configure: (config) => readTransformer(config, { eps: 1e-12, patch: 16 }),
  basePrefix: 'vit.',

  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  diskName: vitDiskName,

  forward(root, { pixels }, config) {
    const scope = root.child('vit');
    let x = embed(scope.child('embeddings'), pixels, config);
    for (let i = 0; i < config.blocks; i++) x = vitBlock(scope.child('layers').child(i), x, config);
    const last = scope.layerNorm(x, 'layernorm', config.eps);
    return { features: classToken(last), last };
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf: vitBlockOf,
  head: () => linearHead('classifier'),
  taskClass: 'ViTForImageClassification',
  presets: ({ blocks }) => transformerPresets(blocks, (i) => `vit.layers.${i}`, ['fc1', 'fc2']),
  size: patchedSides,
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

/** What transformers 4, and files, call the modules of ViT and DeiT. */
export function vitDiskName(path: string): string {
  return path
    .replace(/\blayers\.(\d+)/, 'encoder.layer.$1')
    .replace('.attention.q_proj', '.attention.attention.query')
    .replace('.attention.k_proj', '.attention.attention.key')
    .replace('.attention.v_proj', '.attention.attention.value')
    .replace('.attention.o_proj', '.attention.output.dense')
    .replace('.mlp.fc1', '.intermediate.dense')
    .replace('.mlp.fc2', '.output.dense');
}

export function vitBlockOf(path: string, { blocks }: TransformerConfig): number {
  const match = /\blayers\.(\d+)\./.exec(path);
  return match ? Number(match[1]) : path.includes('.embeddings.') ? -1 : blocks;
}

function embed(scope: Scope, pixels: Tensor, config: TransformerConfig): Tensor {
  const tokens = prepend([scope.weight('cls_token')], patchTokens(scope, pixels, config));
  const grid = patchGrid(pixels.shape[2], pixels.shape[3], config.patch);
  // Resampled at other sizes than its own, which transformers does under `interpolate_pos_encoding`.
  return scope.tokens(add(tokens, placePositions(scope.weight('position_embeddings'), grid, 1)));
}

/** A block of ViT and DeiT: norms before attention and perceptron. */
export function vitBlock(scope: Scope, x: Tensor, { heads, eps, activation }: TransformerConfig): Tensor {
  const h = scope.residual(x, 'attention', 'attention', () =>
    selfAttention(scope.child('attention'), scope.layerNorm(x, 'layernorm_before', eps), heads),
  );
  return scope.residual(h, 'mlp', 'mlp', () =>
    mlp(scope.child('mlp'), scope.layerNorm(h, 'layernorm_after', eps), activation),
  );
}
