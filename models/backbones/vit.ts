import { add, reshape, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import { type Grid, resamplePositions } from './positions.ts';
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

  diskName: (path) =>
    path
      .replace(/\blayers\.(\d+)/, 'encoder.layer.$1')
      .replace('.attention.q_proj', '.attention.attention.query')
      .replace('.attention.k_proj', '.attention.attention.key')
      .replace('.attention.v_proj', '.attention.attention.value')
      .replace('.attention.o_proj', '.attention.output.dense')
      .replace('.mlp.fc1', '.intermediate.dense')
      .replace('.mlp.fc2', '.output.dense'),

  forward(root, { pixels }, config) {
    const scope = root.child('vit');
    let x = embed(scope.child('embeddings'), pixels, config);
    for (let i = 0; i < config.blocks; i++) x = block(scope.child('layers').child(i), x, config);
    const last = scope.layerNorm(x, 'layernorm', config.eps);
    return { features: classToken(last), last };
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf(path, { blocks }) {
    const match = /\blayers\.(\d+)\./.exec(path);
    return match ? Number(match[1]) : path.includes('.embeddings.') ? -1 : blocks;
  },
  head: () => linearHead('classifier'),
  taskClass: 'ViTForImageClassification',
  presets: ({ blocks }) => transformerPresets(blocks, (i) => `vit.layers.${i}`, ['fc1', 'fc2']),
  size: patchedSides,
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function embed(scope: Scope, pixels: Tensor, config: TransformerConfig): Tensor {
  const tokens = prepend([scope.weight('cls_token')], patchTokens(scope, pixels, config));
  return scope.tokens(add(tokens, positions(scope.weight('position_embeddings'), pixels, config)));
}

/** As learnt at the native size; resampled at any other, which transformers does under `interpolate_pos_encoding`. */
function positions(learnt: Tensor, pixels: Tensor, { imageSize, patch }: TransformerConfig): Tensor {
  const [, count, hidden] = learnt.shape;
  const [height, width] = pixels.shape.slice(2);
  if (height === imageSize[0] && width === imageSize[1]) return reshape(learnt, [count, hidden]);
  return resamplePositions(learnt, { from: squareOf(count - 1), to: patchGrid(height, width, patch) });
}

function squareOf(count: number): Grid {
  const side = Math.sqrt(count);
  if (Number.isInteger(side)) return { height: side, width: side };
  throw new ConfigError(
    `Its ${count} position embeddings do not form a square, so only its own picture size can be used.`,
  );
}

function block(scope: Scope, x: Tensor, { heads, eps, activation }: TransformerConfig): Tensor {
  const h = scope.residual(x, 'attention', 'attention', () =>
    selfAttention(scope.child('attention'), scope.layerNorm(x, 'layernorm_before', eps), heads),
  );
  return scope.residual(h, 'mlp', 'mlp', () =>
    mlp(scope.child('mlp'), scope.layerNorm(h, 'layernorm_after', eps), activation),
  );
}
