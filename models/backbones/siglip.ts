import { add, broadcastTo, linear, mean, slice, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, type BackboneOutput, linearHead, pictureInput } from './backbone.ts';
import { encoderBlockOf, encoderBlocks, encoderPresets, towerConfig } from './clipEncoder.ts';
import { placePositions } from './positions.ts';
import { withoutLearnt } from './text.ts';
import {
  classToken,
  mlp,
  patchedSides,
  patchGrid,
  readTransformer,
  squarePatches,
  type TransformerConfig,
} from './visionTransformer.ts';

/**
 * The picture tower of SigLIP (Zhai et al., 2023, arxiv.org/abs/2303.15343) under the names of transformers'
 * `SiglipForImageClassification`, whose head reads the mean of all tokens; there is no class token.
 */
export const siglip: Backbone<TransformerConfig> = {
  family: 'siglip',
  title: 'SigLIP',
  accepts: ({ model_type: type }) => type === 'siglip' || type === 'siglip_vision_model',
  configure: (config) =>
    readTransformer(
      { hidden_act: 'gelu_pytorch_tanh', ...towerConfig(config, 'vision', 'siglip') },
      { eps: 1e-6, patch: 16 },
    ),
  basePrefix: 'vision_model.',
  diskName: (path) => path,
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, config) {
    const scope = root.child('vision_model');
    const embeddings = scope.child('embeddings');
    const patches = squarePatches(embeddings, 'patch_embedding', pixels, config);
    const grid = patchGrid(pixels.shape[2], pixels.shape[3], config.patch);
    const positions = placePositions(embeddings.child('position_embedding').weight('weight'), grid, 0);
    const x = scope.tokens(add(patches, positions), 0);
    const all = scope.layerNorm(encoderBlocks(scope, x, config), 'post_layernorm', config.eps);
    const last = withoutLearnt(all, patches.shape[1]);
    return { features: mean(last, [1]), last };
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf: encoderBlockOf,
  head: () => linearHead('classifier'),
  taskClass: 'SiglipForImageClassification',
  presets: ({ blocks }) => encoderPresets(blocks, 'vision_model'),
  size: patchedSides,
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

/**
 * What SigLIP compares with texts, [B, D]: a learnt query attends to all tokens (its attention-pooling head, whose
 * projections PyTorch keeps as one matrix), then a perceptron. Reads a file of `SiglipModel`.
 */
export function siglipImageEmbedding(
  root: Scope,
  { last }: BackboneOutput,
  config: TransformerConfig,
): Tensor {
  const scope = root.child('vision_model').child('head');
  const [batch, , hidden] = last.shape;
  const attention = scope.child('attention');
  const [weight, bias] = [attention.weight('in_proj_weight'), attention.weight('in_proj_bias')];
  const project = (x: Tensor, part: number) =>
    linear(x, slice(weight, [part * hidden, 0], [hidden, hidden]), slice(bias, [part * hidden], [hidden]));
  const query = broadcastTo(project(scope.weight('probe'), 0), [batch, 1, hidden]);
  const mixed = attention.attention(query, project(last, 1), project(last, 2), { heads: config.heads });
  const pooled = attention.linear(mixed, 'out_proj');
  const normed = scope.layerNorm(pooled, 'layernorm', config.eps);
  return classToken(add(pooled, mlp(scope.child('mlp'), normed, config.activation)));
}
