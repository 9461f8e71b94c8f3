import { add, constant, gatherRows, mul, reshape, type Tensor, transpose } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError } from './backbone.ts';
import { type Activation, readActivation, readBoolean, readNumber, requireOption } from './readConfig.ts';
import {
  lastToken,
  maskOf,
  paddingBias,
  readId,
  textInputs,
  textPresets,
  tokenSize,
  vocabularyLogits,
} from './text.ts';

export interface T5Config {
  hidden: number;
  /** Blocks of the encoder, of the decoder. */
  encoder: number;
  decoder: number;
  heads: number;
  eps: number;
  activation: Activation;
  /** A gate beside the perceptron's first layer (v1.1). */
  gated: boolean;
  buckets: number;
  /** Distance from which on all share a bucket. */
  far: number;
  /** Whether hidden states are divided by the root of their width before the language head. */
  scaled: boolean;
  /** The decoder's first token. */
  start: number;
}

/** Positions are relative, so there is no longest text; longer ones than this were never trained on. */
const MOST = 512;

/**
 * T5 (Raffel et al., 2020, arxiv.org/abs/1910.10683; v1.1 and Flan too), encoder and decoder, as transformers'
 * `T5ForSequenceClassification` and `T5ForConditionalGeneration` compute it. The classifier reads the decoder at the
 * text's last token, which the tokenizer ends every text with.
 */
export const t5: Backbone<T5Config> = {
  family: 't5',
  title: 'T5',
  accepts: (config) => config.model_type === 't5',
  configure,
  basePrefix: 'transformer.',
  // Files of the encoder alone, and older ones, keep the table there.
  diskName: (path) => path.replace(/\.shared\.weight$/, '.encoder.embed_tokens.weight'),
  modality: 'text',
  inputs: (_, size) => textInputs(size, 'decoder_ids'),
  decoderStart: (config) => config.start,

  forward(root, { ids, mask, decoder_ids }, config) {
    const scope = root.child('transformer');
    const words = scope.tokens(scope.embedding(ids, 'shared'), 0);
    const seen = paddingBias(maskOf(words, mask));
    const encoded = encode(scope.child('encoder'), words, seen, config);
    const last = decode(
      scope.child('decoder'),
      scope.embedding(decoder_ids, 'shared'),
      encoded,
      seen,
      config,
    );
    return { features: lastToken(last, mask), last };
  },

  languageHead(root, { last }, { hidden, scaled }) {
    const x = scaled ? mul(last, hidden ** -0.5) : last;
    return vocabularyLogits(root, x, { own: 'lm_head.weight', tied: 'transformer.shared.weight' });
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.encoder + config.decoder,
  blockOf(path, { encoder, decoder }) {
    const match = /(encoder|decoder)\.block\.(\d+)\./.exec(path);
    if (match) return Number(match[2]) + (match[1] === 'decoder' ? encoder : 0);
    if (path.includes('.shared.')) return -1;
    return path.includes('.encoder.') ? encoder - 1 : encoder + decoder;
  },
  head: ({ hidden }) => ({
    path: 'classification_head.out_proj',
    bias: true,
    hidden: [{ path: 'classification_head.dense', width: hidden, activation: 'tanh' }],
  }),
  taskClass: 'T5ForSequenceClassification',
  languageClass: 'T5ForConditionalGeneration',
  languagePrefix: '',
  presets: ({ decoder, gated }) => {
    const attention = ['q', 'k', 'v', 'o'].map((name) => `layer.0.SelfAttention.${name}`);
    const cross = ['q', 'k', 'v', 'o'].map((name) => `layer.1.EncDecAttention.${name}`);
    const mlp = [...(gated ? ['wi_0', 'wi_1'] : ['wi']), 'wo'].map(
      (name) => `layer.2.DenseReluDense.${name}`,
    );
    return textPresets(decoder, (i) => `transformer.decoder.block.${i}`, {
      usual: { label: 'Query and value', targets: ['q', 'v'] },
      attention: [...attention, ...cross],
      mlp,
    });
  },
  size: () => tokenSize(MOST),
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function configure(config: JsonObject): T5Config {
  requireOption(config, 'is_encoder_decoder', true);
  const form = String(config.feed_forward_proj ?? 'relu');
  const gated = form.startsWith('gated-');
  // The gated GELU has always been the approximate one.
  const activation = form === 'gated-gelu' ? 'gelu_new' : form.replace(/^gated-/, '');
  const blocks = readNumber(config, 'num_layers', 6);
  const buckets = readNumber(config, 'relative_attention_num_buckets', 32);
  if (buckets % 4)
    throw new ConfigError(
      `config.json has relative_attention_num_buckets = ${buckets}; a multiple of 4 is needed there.`,
    );
  return {
    hidden: readNumber(config, 'd_model', 512),
    encoder: blocks,
    decoder: readNumber(config, 'num_decoder_layers', blocks),
    heads: readNumber(config, 'num_heads', 8),
    eps: readNumber(config, 'layer_norm_epsilon', 1e-6),
    activation: readActivation({ feed_forward_proj: activation }, 'feed_forward_proj', 'relu'),
    gated,
    buckets,
    far: readNumber(config, 'relative_attention_max_distance', 128),
    scaled: readBoolean(config, 'scale_decoder_outputs', config.tie_word_embeddings !== false),
    start: readId(config, 'decoder_start_token_id', readId(config, 'pad_token_id', 0)),
  };
}

function encode(scope: Scope, words: Tensor, seen: Tensor, config: T5Config): Tensor {
  const tokens = words.shape[1];
  const bias = add(relativeBias(scope, tokens, true, config), seen);
  let x = words;
  for (let i = 0; i < config.encoder; i++) {
    const layers = scope.child('block').child(i).child('layer');
    x = attended(layers.child(0), x, 'SelfAttention', config, { bias });
    x = perceptron(layers.child(1), x, config);
  }
  return scope.rmsNorm(x, 'final_layer_norm', config.eps);
}

function decode(scope: Scope, words: Tensor, encoded: Tensor, seen: Tensor, config: T5Config): Tensor {
  const bias = relativeBias(scope, words.shape[1], false, config);
  let x = words;
  for (let i = 0; i < config.decoder; i++) {
    const layers = scope.child('block').child(i).child('layer');
    x = attended(layers.child(0), x, 'SelfAttention', config, { bias, causal: true });
    x = attended(layers.child(1), x, 'EncDecAttention', config, { bias: seen, of: encoded });
    x = perceptron(layers.child(2), x, config);
  }
  return scope.rmsNorm(x, 'final_layer_norm', config.eps);
}

/** Attention without a scale, to the tokens themselves or to those of `of`. */
function attended(
  scope: Scope,
  x: Tensor,
  name: string,
  { heads, eps }: T5Config,
  { bias, causal, of }: { bias: Tensor; causal?: boolean; of?: Tensor },
): Tensor {
  return scope.residual(x, name, 'attention', () => {
    const attention = scope.child(name);
    const normed = scope.rmsNorm(x, 'layer_norm', eps);
    const q = attention.linear(normed, 'q');
    const [k, v] = ['k', 'v'].map((part) => attention.linear(of ?? normed, part));
    return attention.linear(attention.attention(q, k, v, { heads, scale: 1, causal, bias }), 'o');
  });
}

function perceptron(scope: Scope, x: Tensor, { eps, activation, gated }: T5Config): Tensor {
  return scope.residual(x, 'DenseReluDense', 'mlp', () => {
    const dense = scope.child('DenseReluDense');
    const normed = scope.rmsNorm(x, 'layer_norm', eps);
    const inner = activation(dense.linear(normed, gated ? 'wi_0' : 'wi'));
    return dense.linear(gated ? mul(inner, dense.linear(normed, 'wi_1')) : inner, 'wo');
  });
}

/** What the first block learnt of distances, which all blocks add to their scores: [1, heads, T, T]. */
function relativeBias(
  scope: Scope,
  tokens: number,
  both: boolean,
  { buckets, far, heads }: T5Config,
): Tensor {
  const path = ['block', 0, 'layer', 0, 'SelfAttention', 'relative_attention_bias'];
  const table = path.reduce<Scope>((s, name) => s.child(name), scope).weight('weight');
  const ids = Uint32Array.from({ length: tokens * tokens }, (_, i) =>
    bucketOf((i % tokens) - Math.floor(i / tokens), both, buckets, far),
  );
  const values = gatherRows(table, constant(ids, [tokens, tokens]));
  return reshape(transpose(values, [2, 0, 1]), [1, heads, tokens, tokens]);
}

/**
 * Number of the bucket of a key so many tokens behind its query (negative: before it). Half of the buckets hold one
 * distance each, the others distances that grow as powers up to `far`. Rounded as f32 after each step, since PyTorch
 * is: distances at the edge of a bucket depend on it.
 */
export function bucketOf(distance: number, both: boolean, buckets: number, far: number): number {
  const count = both ? buckets / 2 : buckets;
  const side = both && distance > 0 ? count : 0;
  const away = both ? Math.abs(distance) : Math.max(-distance, 0);
  const exact = Math.floor(count / 2);
  if (away < exact) return side + away;
  const f = Math.fround;
  const power = f(f(Math.log(f(away / exact))) / f(Math.log(far / exact)));
  return side + Math.min(exact + Math.trunc(f(power * (count - exact))), count - 1);
}
