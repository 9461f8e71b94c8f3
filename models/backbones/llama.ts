import { gatherRows, mul, rotary, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead } from './backbone.ts';
import { type Decoder, Sight } from './decoding.ts';
import { type Activation, readActivation, readNumber } from './readConfig.ts';
import { type Rope, readRope, ropeTable } from './rope.ts';
import {
  checkLength,
  lastToken,
  maskOf,
  textInputs,
  textPresets,
  tokenSize,
  vocabularyLogits,
  withoutLearnt,
} from './text.ts';

export interface LlamaConfig {
  hidden: number;
  blocks: number;
  heads: number;
  /** Heads of keys and values, each of which several heads of queries share. */
  keyHeads: number;
  eps: number;
  activation: Activation;
  rope: Rope;
  /** Most tokens of a text: no more than what a token sees where it sees a window only. */
  most: number;
}

const decode: Decoder<LlamaConfig> = {
  width: ({ keyHeads, rope }) => keyHeads * rope.head,
  forward(root, inputs, config) {
    const scope = root.child('model');
    const sight = Sight.behind(inputs);
    const capacity = inputs.mask.shape[1];
    checkLength(capacity, config.most);
    const table = gatherRows(ropeTable(config.rope, capacity + 1), inputs.positions);
    const last = blocks(scope, scope.embedding(inputs.ids, 'embed_tokens'), table, sight, config);
    return { last, rows: sight.rows };
  },
};

/**
 * Llama (Touvron et al., 2023, arxiv.org/abs/2302.13971; Llama 2 and 3 too) as transformers'
 * `LlamaForSequenceClassification` and `LlamaForCausalLM` compute it.
 */
export const llama = family('llama', 'Llama', 'LlamaForSequenceClassification');

/** Qwen2 (arxiv.org/abs/2407.10671; Qwen2.5 too): Llama with biases on queries, keys and values. */
export const qwen2 = family('qwen2', 'Qwen2', 'Qwen2ForSequenceClassification');

/** Mistral 7B (arxiv.org/abs/2310.06825): Llama whose tokens see a window. */
export const mistral = family('mistral', 'Mistral', 'MistralForSequenceClassification');

function family(name: string, title: string, taskClass: string): Backbone<LlamaConfig> {
  return {
    family: name,
    title,
    accepts: (config) => config.model_type === name,
    configure: (config) => configure(config, name),
    basePrefix: 'model.',
    diskName: (path) => path,
    modality: 'text',
    inputs: (_, size) => textInputs(size),

    forward(root, { ids, mask }, config) {
      const scope = root.child('model');
      const words = scope.tokens(scope.embedding(ids, 'embed_tokens'), 0);
      const seen = maskOf(words, mask);
      checkLength(words.shape[1], config.most);
      const last = blocks(scope, words, ropeTable(config.rope, words.shape[1]), Sight.whole(seen), config);
      return { features: lastToken(last, seen), last: withoutLearnt(last, ids.shape[1]) };
    },

    languageHead: (root, { last }) =>
      vocabularyLogits(root, last, { own: 'lm_head.weight', tied: 'model.embed_tokens.weight' }),
    decode,

    featureSize: (config) => config.hidden,
    blocks: (config) => config.blocks,
    blockOf(path, config) {
      const match = /\.layers\.(\d+)\./.exec(path);
      return match ? Number(match[1]) : path.includes('.embed_tokens.') ? -1 : config.blocks;
    },
    head: () => linearHead('score', false),
    tokenHead: 'score',
    taskClass,
    languageClass: taskClass.replace('SequenceClassification', 'CausalLM'),
    presets: (config) =>
      textPresets(config.blocks, (i) => `model.layers.${i}`, {
        usual: { label: 'Query and value', targets: ['q_proj', 'v_proj'] },
        attention: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'],
        mlp: ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'],
      }),
    size: ({ most }) => tokenSize(most),
    defaults: () => ({ lr: 5e-4, r: 8, lora_alpha: 16, schedule: 'cosine' }),
  };
}

function configure(config: JsonObject, name: string): LlamaConfig {
  const hidden = readNumber(config, 'hidden_size', 4096);
  const heads = readNumber(config, 'num_attention_heads', 32);
  const keyHeads = readNumber(config, 'num_key_value_heads', name === 'mistral' ? 8 : heads);
  const head = readNumber(config, 'head_dim', hidden / heads);
  if (!Number.isInteger(head) || heads % keyHeads)
    throw new ConfigError(
      `config.json has ${heads} heads of queries and ${keyHeads} of keys for ${hidden} features, which do not fit.`,
    );
  return {
    hidden,
    heads,
    keyHeads,
    blocks: readNumber(config, 'num_hidden_layers', 32),
    eps: readNumber(config, 'rms_norm_eps', 1e-6),
    activation: readActivation(config, 'hidden_act', 'silu'),
    rope: readRope(config, head),
    most: Math.min(readNumber(config, 'max_position_embeddings', 2048), windowOf(config, name)),
  };
}

/** Tokens that a token sees, itself among them. */
function windowOf(config: JsonObject, name: string): number {
  const layers = Array.isArray(config.layer_types) ? config.layer_types : [];
  const other = layers.find((kind) => kind !== 'full_attention' && kind !== 'sliding_attention');
  if (other)
    throw new ConfigError(
      `config.json has layers of the kind '${other}'; supported are full_attention and sliding_attention.`,
    );
  const slides =
    layers.includes('sliding_attention') || name === 'mistral' || config.use_sliding_window === true;
  if (!slides || config.sliding_window === null) return Number.POSITIVE_INFINITY;
  return readNumber(config, 'sliding_window', 4096);
}

function blocks(scope: Scope, embedded: Tensor, table: Tensor, sight: Sight, config: LlamaConfig): Tensor {
  let x = embedded;
  for (let i = 0; i < config.blocks; i++) x = block(scope.child('layers').child(i), x, table, sight, config);
  return scope.rmsNorm(x, 'norm', config.eps);
}

function block(scope: Scope, x: Tensor, table: Tensor, sight: Sight, config: LlamaConfig): Tensor {
  const { heads, eps, activation, rope } = config;
  const h = scope.residual(x, 'self_attn', 'attention', () => {
    const attention = scope.child('self_attn');
    const normed = scope.rmsNorm(x, 'input_layernorm', eps);
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((name) => attention.linear(normed, name));
    const turned = { k: rotary(k, table, rope.head), v };
    return attention.linear(
      sight.attend(attention, rotary(q, table, rope.head), turned, { heads }),
      'o_proj',
    );
  });
  return scope.residual(h, 'mlp', 'mlp', () => {
    const mlp = scope.child('mlp');
    const normed = scope.rmsNorm(h, 'post_attention_layernorm', eps);
    const gate = activation(mlp.linear(normed, 'gate_proj'));
    return mlp.linear(mul(gate, mlp.linear(normed, 'up_proj')), 'down_proj');
  });
}
