import { add, slice, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, linearHead } from './backbone.ts';
import { type Decoder, Sight } from './decoding.ts';
import { type Activation, readActivation, readBoolean, readNumber, requireOption } from './readConfig.ts';
import {
  checkHeads,
  lastToken,
  learntPositions,
  maskOf,
  textInputs,
  textPresets,
  tokenSize,
  vocabularyLogits,
  withoutLearnt,
} from './text.ts';

export interface Gpt2Config {
  hidden: number;
  blocks: number;
  heads: number;
  eps: number;
  activation: Activation;
  /** Most tokens of a text. */
  most: number;
  /** Whether scores are divided by the root of a head's width, and by the number of their block. */
  scaled: boolean;
  scaledByBlock: boolean;
}

const decode: Decoder<Gpt2Config> = {
  width: (config) => config.hidden,
  forward(root, inputs, config) {
    const scope = root.child('transformer');
    const x = add(scope.embedding(inputs.ids, 'wte'), scope.embedding(inputs.positions, 'wpe'));
    const sight = Sight.behind(inputs);
    return { last: blocks(scope, x, sight, config), rows: sight.rows };
  },
};

/**
 * GPT-2 (Radford et al., 2019) as transformers' `GPT2ForSequenceClassification` and `GPT2LMHeadModel` compute it. Its
 * layers lie in files as [in, out], which PEFT calls `fan_in_fan_out`.
 */
export const gpt2: Backbone<Gpt2Config> = {
  family: 'gpt2',
  title: 'GPT-2',
  accepts: (config) => config.model_type === 'gpt2',

  configure(config) {
    requireOption(config, 'add_cross_attention', false);
    const hidden = readNumber(config, 'n_embd', 768);
    const heads = readNumber(config, 'n_head', 12);
    checkHeads(hidden, heads);
    return {
      hidden,
      heads,
      blocks: readNumber(config, 'n_layer', 12),
      eps: readNumber(config, 'layer_norm_epsilon', 1e-5),
      activation: readActivation(config, 'activation_function', 'gelu_new'),
      most: readNumber(config, 'n_positions', 1024),
      scaled: readBoolean(config, 'scale_attn_weights', true),
      scaledByBlock: readBoolean(config, 'scale_attn_by_inverse_layer_idx', false),
    };
  },

  basePrefix: 'transformer.',
  diskName: (path) => path,
  diskTransposed: (path) => /\.(c_attn|c_proj|c_fc)\.weight$/.test(path),
  modality: 'text',
  inputs: (_, size) => textInputs(size),

  forward(root, { ids, mask }, config) {
    const scope = root.child('transformer');
    const words = scope.tokens(scope.embedding(ids, 'wte'), 0);
    const seen = maskOf(words, mask);
    const x = add(words, learntPositions(scope, 'wpe', words.shape[1]));
    const last = blocks(scope, x, Sight.whole(seen), config);
    return { features: lastToken(last, seen), last: withoutLearnt(last, ids.shape[1]) };
  },

  languageHead: (root, { last }) =>
    vocabularyLogits(root, last, { own: 'lm_head.weight', tied: 'transformer.wte.weight' }),
  decode,

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf(path, config) {
    const match = /\bh\.(\d+)\./.exec(path);
    return match ? Number(match[1]) : /\.w[tp]e\./.test(path) ? -1 : config.blocks;
  },
  head: () => linearHead('score', false),
  taskClass: 'GPT2ForSequenceClassification',
  languageClass: 'GPT2LMHeadModel',
  presets: (config) =>
    textPresets(config.blocks, (i) => `transformer.h.${i}`, {
      usual: { label: 'Query, key and value', targets: ['c_attn'] },
      attention: ['attn.c_attn', 'attn.c_proj'],
      mlp: ['mlp.c_fc', 'mlp.c_proj'],
    }),
  size: ({ most }) => tokenSize(most),
  defaults: () => ({ lr: 5e-4, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function blocks(scope: Scope, embedded: Tensor, sight: Sight, config: Gpt2Config): Tensor {
  let x = embedded;
  for (let i = 0; i < config.blocks; i++) x = block(scope.child('h').child(i), x, sight, config, i);
  return scope.layerNorm(x, 'ln_f', config.eps);
}

function block(scope: Scope, x: Tensor, sight: Sight, config: Gpt2Config, i: number): Tensor {
  const { heads, eps, activation, scaled, scaledByBlock } = config;
  const h = scope.residual(x, 'attn', 'attention', () => {
    const attention = scope.child('attn');
    const all = attention.linear(scope.layerNorm(x, 'ln_1', eps), 'c_attn');
    const [batch, tokens, width] = all.shape;
    const [q, k, v] = [0, 1, 2].map((part) =>
      slice(all, [0, 0, (part * width) / 3], [batch, tokens, width / 3]),
    );
    const scale = (scaled ? (width / 3 / heads) ** -0.5 : 1) / (scaledByBlock ? i + 1 : 1);
    return attention.linear(sight.attend(attention, q, { k, v }, { heads, scale }), 'c_proj');
  });
  return scope.residual(h, 'mlp', 'mlp', () => {
    const mlp = scope.child('mlp');
    return mlp.linear(activation(mlp.linear(scope.layerNorm(h, 'ln_2', eps), 'c_fc')), 'c_proj');
  });
}
