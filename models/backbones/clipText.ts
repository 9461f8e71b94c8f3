import {
  add,
  argmax,
  cast,
  equal,
  matmul,
  oneHot,
  pad,
  reshape,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import type { Backbone, BackboneOutput } from './backbone.ts';
import {
  type EncoderConfig,
  encoderBlockOf,
  encoderBlocks,
  encoderPresets,
  towerConfig,
} from './clipEncoder.ts';
import { readActivation, readNumber } from './readConfig.ts';
import {
  checkHeads,
  learntPositions,
  maskOf,
  paddingBias,
  readId,
  textInputs,
  tokenSize,
  withoutLearnt,
} from './text.ts';

export interface TextTowerConfig extends EncoderConfig {
  hidden: number;
  /** Most tokens of a text. */
  most: number;
  /** The token that ends a text; 2 in files from before it was set right, where the largest id ends it. */
  end: number;
}

/**
 * The text tower of CLIP under the names of `CLIPTextModelWithProjection` and `CLIPModel`. Tokens see those before them;
 * the token that ends the text stands for all of it.
 */
export const clipText: Backbone<TextTowerConfig> = {
  family: 'clip_text_model',
  title: 'CLIP text tower',
  accepts: (config) => config.model_type === 'clip_text_model',
  configure(config) {
    const text = towerConfig(config, 'text', 'clip');
    const hidden = readNumber(text, 'hidden_size', 512);
    const heads = readNumber(text, 'num_attention_heads', 8);
    checkHeads(hidden, heads);
    return {
      hidden,
      heads,
      blocks: readNumber(text, 'num_hidden_layers', 12),
      eps: readNumber(text, 'layer_norm_eps', 1e-5),
      activation: readActivation(text, 'hidden_act', 'quick_gelu'),
      most: readNumber(text, 'max_position_embeddings', 77),
      end: readId(text, 'eos_token_id', 49407),
    };
  },
  basePrefix: 'text_model.',
  diskName: (path) => path,
  modality: 'text',
  inputs: (_, size) => textInputs(size),

  forward(root, { ids, mask }, config) {
    const scope = root.child('text_model');
    const x = textEmbeddings(scope.child('embeddings'), ids);
    const bias = paddingBias(maskOf(x, mask));
    const hidden = encoderBlocks(scope, x, config, { causal: true, bias });
    const last = scope.layerNorm(hidden, 'final_layer_norm', config.eps);
    return { features: endToken(last, ids, config.end), last: withoutLearnt(last, ids.shape[1]) };
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf: encoderBlockOf,
  head: () => ({ path: 'text_projection', bias: false, hidden: [] }),
  taskClass: 'CLIPTextModelWithProjection',
  presets: ({ blocks }) => encoderPresets(blocks, 'text_model'),
  size: ({ most }) => tokenSize(most),
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

/** What CLIP compares with pictures, [B, P]. */
export const clipTextEmbedding = (root: Scope, { features }: BackboneOutput): Tensor =>
  root.linear(features, 'text_projection');

/** Tokens of ids [B, T] with learnt positions, [B, n + T, D], n learnt tokens in front. */
export function textEmbeddings(scope: Scope, ids: Tensor): Tensor {
  const words = scope.tokens(scope.embedding(ids, 'token_embedding'), 0);
  return add(words, learntPositions(scope, 'position_embedding', words.shape[1]));
}

/** The state at the first token with the id `end`, of x [B, n + T, D]: [B, D]. */
function endToken(x: Tensor, ids: Tensor, end: number): Tensor {
  const [batch, all, width] = x.shape;
  const tokens = ids.shape[1];
  const numbers = cast(ids, 'f32');
  const place = argmax(end === 2 ? numbers : equal(numbers, end));
  const chosen = pad(oneHot(place, tokens), [0, all - tokens], [0, 0]);
  return reshape(matmul(reshape(chosen, [batch, 1, all]), x), [batch, width]);
}
