import { add, mean, reshape, slice, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, type BackboneOutput, linearHead, pictureInput } from './backbone.ts';
import { encoderBlockOf, encoderBlocks, encoderPresets, towerConfig } from './clipEncoder.ts';
import { placePositions } from './positions.ts';
import {
  classToken,
  patchedSides,
  patchGrid,
  prepend,
  readTransformer,
  squarePatches,
  type TransformerConfig,
} from './visionTransformer.ts';

/**
 * The picture tower of CLIP (Radford et al., 2021, arxiv.org/abs/2103.00020) under the names of transformers'
 * `CLIPForImageClassification`, whose head reads the mean of the patch tokens before the last norm. Files of
 * `CLIPModel` and `CLIPVisionModel` have the same names, those of the latter perhaps without their prefix.
 */
export const clip: Backbone<TransformerConfig> = {
  family: 'clip',
  title: 'CLIP',
  accepts: ({ model_type: type }) => type === 'clip' || type === 'clip_vision_model',
  configure: (config) =>
    readTransformer(
      { hidden_act: 'quick_gelu', ...towerConfig(config, 'vision', 'clip') },
      { eps: 1e-5, patch: 32 },
    ),
  basePrefix: 'vision_model.',
  diskName: (path) => path,
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, config) {
    const scope = root.child('vision_model');
    const embedded = embed(scope.child('embeddings'), pixels, config);
    const last = encoderBlocks(scope, scope.layerNorm(embedded, 'pre_layrnorm', config.eps), config);
    const { height, width } = patchGrid(pixels.shape[2], pixels.shape[3], config.patch);
    const [batch, tokens, hidden] = last.shape;
    const patches = height * width;
    return { features: mean(slice(last, [0, tokens - patches, 0], [batch, patches, hidden]), [1]), last };
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf: encoderBlockOf,
  head: () => linearHead('classifier'),
  taskClass: 'CLIPForImageClassification',
  presets: ({ blocks }) => encoderPresets(blocks, 'vision_model'),
  size: patchedSides,
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

/** What CLIP compares with texts: its class token, normed and projected, [B, P]. Reads a file of `CLIPModel`. */
export function clipImageEmbedding(
  root: Scope,
  { last }: BackboneOutput,
  { eps }: TransformerConfig,
): Tensor {
  const pooled = root.child('vision_model').layerNorm(classToken(last), 'post_layernorm', eps);
  return root.linear(pooled, 'visual_projection');
}

function embed(scope: Scope, pixels: Tensor, config: TransformerConfig): Tensor {
  const learnt = reshape(scope.weight('class_embedding'), [1, 1, config.hidden]);
  const tokens = prepend([learnt], squarePatches(scope, 'patch_embedding', pixels, config));
  const grid = patchGrid(pixels.shape[2], pixels.shape[3], config.patch);
  const positions = placePositions(scope.child('position_embedding').weight('weight'), grid, 1);
  return scope.tokens(add(tokens, positions));
}
