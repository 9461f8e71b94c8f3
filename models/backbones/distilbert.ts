import { add, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import type { Backbone } from './backbone.ts';
import { type Activation, readActivation, readNumber } from './readConfig.ts';
import {
  checkHeads,
  firstToken,
  learntPositions,
  maskOf,
  paddingBias,
  textInputs,
  textPresets,
  tokenSize,
  vocabularyLogits,
  withoutLearnt,
} from './text.ts';

export interface DistilBertConfig {
  hidden: number;
  blocks: number;
  heads: number;
  activation: Activation;
  /** Most tokens of a text. */
  most: number;
}

/** Fixed in the architecture. */
const EPS = 1e-12;

/**
 * DistilBERT (Sanh et al., 2019, arxiv.org/abs/1910.01108) as transformers' `DistilBertForSequenceClassification` and
 * `DistilBertForMaskedLM` compute it.
 */
export const distilbert: Backbone<DistilBertConfig> = {
  family: 'distilbert',
  title: 'DistilBERT',
  accepts: (config) => config.model_type === 'distilbert',

  configure(config) {
    const hidden = readNumber(config, 'dim', 768);
    const heads = readNumber(config, 'n_heads', 12);
    checkHeads(hidden, heads);
    return {
      hidden,
      heads,
      blocks: readNumber(config, 'n_layers', 6),
      activation: readActivation(config, 'activation', 'gelu'),
      most: readNumber(config, 'max_position_embeddings', 512),
    };
  },

  basePrefix: 'distilbert.',
  diskName: (path) => path,
  modality: 'text',
  inputs: (_, size) => textInputs(size),

  forward(root, { ids, mask }, config) {
    const scope = root.child('distilbert');
    let x = embed(scope.child('embeddings'), ids);
    const bias = paddingBias(maskOf(x, mask));
    for (let i = 0; i < config.blocks; i++)
      x = block(scope.child('transformer').child('layer').child(i), x, bias, config);
    return { features: firstToken(x), last: withoutLearnt(x, ids.shape[1]) };
  },

  languageHead(root, { last }, { activation }) {
    const x = root.layerNorm(activation(root.linear(last, 'vocab_transform')), 'vocab_layer_norm', EPS);
    return vocabularyLogits(root, x, {
      own: 'vocab_projector.weight',
      tied: 'distilbert.embeddings.word_embeddings.weight',
      bias: ['vocab_projector.bias'],
    });
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf(path, { blocks }) {
    const match = /\.layer\.(\d+)\./.exec(path);
    return match ? Number(match[1]) : path.includes('.embeddings.') ? -1 : blocks;
  },
  head: ({ hidden }) => ({
    path: 'classifier',
    bias: true,
    hidden: [{ path: 'pre_classifier', width: hidden, activation: 'relu' }],
  }),
  taskClass: 'DistilBertForSequenceClassification',
  languageClass: 'DistilBertForMaskedLM',
  presets: ({ blocks }) =>
    textPresets(blocks, (i) => `distilbert.transformer.layer.${i}`, {
      usual: { label: 'Query and value', targets: ['q_lin', 'v_lin'] },
      attention: ['attention.q_lin', 'attention.k_lin', 'attention.v_lin', 'attention.out_lin'],
      mlp: ['ffn.lin1', 'ffn.lin2'],
    }),
  size: ({ most }) => tokenSize(most),
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function embed(scope: Scope, ids: Tensor): Tensor {
  const words = scope.tokens(scope.embedding(ids, 'word_embeddings'), 0);
  const placed = add(words, learntPositions(scope, 'position_embeddings', words.shape[1]));
  return scope.layerNorm(placed, 'LayerNorm', EPS);
}

function block(scope: Scope, x: Tensor, bias: Tensor, { heads, activation }: DistilBertConfig): Tensor {
  const attended = scope.residual(x, 'attention', 'attention', () => {
    const attention = scope.child('attention');
    const [q, k, v] = ['q_lin', 'k_lin', 'v_lin'].map((name) => attention.linear(x, name));
    return attention.linear(attention.attention(q, k, v, { heads, bias }), 'out_lin');
  });
  const h = scope.layerNorm(attended, 'sa_layer_norm', EPS);
  const y = scope.residual(h, 'ffn', 'mlp', () => {
    const ffn = scope.child('ffn');
    return ffn.linear(activation(ffn.linear(h, 'lin1')), 'lin2');
  });
  return scope.layerNorm(y, 'output_layer_norm', EPS);
}
