import { add, linear, mul, reshape, slice, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, linearHead, pictureInput } from './backbone.ts';
import { placePositions } from './positions.ts';
import {
  classToken,
  patchedSides,
  patchGrid,
  patchTokens,
  prepend,
  readTransformer,
  type TransformerConfig,
  transformerPresets,
} from './visionTransformer.ts';
import { vitBlock, vitBlockOf, vitDiskName } from './vit.ts';

/**
 * DeiT (Touvron et al., 2021, arxiv.org/abs/2012.12877): ViT with a distillation token behind the class token, as
 * transformers' `DeiTForImageClassification` computes it, whose head reads the class token only. Files of
 * `DeiTForImageClassificationWithTeacher` are read too: a new head trains as transformers would train it, and
 * `storedLogits` gives the mean of the two heads that the file brings.
 */
export const deit: Backbone<TransformerConfig> = {
  family: 'deit',
  title: 'DeiT',
  accepts: (config) => config.model_type === 'deit',
  configure: (config) => readTransformer(config, { eps: 1e-12, patch: 16 }),
  basePrefix: 'deit.',
  diskName: vitDiskName,
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, config) {
    const scope = root.child('deit');
    let x = embed(scope.child('embeddings'), pixels, config);
    for (let i = 0; i < config.blocks; i++) x = vitBlock(scope.child('layers').child(i), x, config);
    const last = scope.layerNorm(x, 'layernorm', config.eps);
    return { features: classToken(last), last };
  },

  storedLogits(root, { features, last }) {
    const own = [
      ['cls_classifier', features] as const,
      ['distillation_classifier', distillationToken(last)] as const,
    ];
    if (!own.every(([name]) => root.has(`${name}.weight`))) return undefined;
    const [a, b] = own.map(([name, x]) => {
      const head = root.child(name);
      return linear(x, head.weight('weight'), head.weight('bias'));
    });
    return mul(add(a, b), 0.5);
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf: vitBlockOf,
  head: () => linearHead('classifier'),
  taskClass: 'DeiTForImageClassification',
  presets: ({ blocks }) => transformerPresets(blocks, (i) => `deit.layers.${i}`, ['fc1', 'fc2']),
  size: patchedSides,
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function embed(scope: Scope, pixels: Tensor, config: TransformerConfig): Tensor {
  const learnt = [scope.weight('cls_token'), scope.weight('distillation_token')];
  const tokens = prepend(learnt, patchTokens(scope, pixels, config));
  const grid = patchGrid(pixels.shape[2], pixels.shape[3], config.patch);
  return scope.tokens(add(tokens, placePositions(scope.weight('position_embeddings'), grid, 2)), 2);
}

/** The token behind the class token of x [B, T, D]: [B, D]. */
function distillationToken(x: Tensor): Tensor {
  const [batch, , hidden] = x.shape;
  return reshape(slice(x, [0, 1, 0], [batch, 1, hidden]), [batch, hidden]);
}
