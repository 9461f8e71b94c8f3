import { add, mul, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import type { Backbone } from './backbone.ts';
import { type Activation, readActivation, readBoolean, readNumber, requireOption } from './readConfig.ts';
import {
  checkHeads,
  lastToken,
  learntPositions,
  maskOf,
  paddingBias,
  readId,
  textInputs,
  textPresets,
  tokenSize,
  vocabularyLogits,
} from './text.ts';

export interface BartConfig {
  hidden: number;
  /** Blocks and heads of the encoder, of the decoder. */
  encoder: { blocks: number; heads: number };
  decoder: { blocks: number; heads: number };
  activation: Activation;
  /** Multiplies embedded words. */
  scale: number;
  /** Most tokens of a text. */
  most: number;
  /** The decoder's first token. */
  start: number;
}

/** PyTorch's default, which the architecture takes. */
const EPS = 1e-5;
/** Rows that the tables of positions have before that of the first token. */
const OFFSET = 2;

/**
 * BART (Lewis et al., 2020, arxiv.org/abs/1910.13461), encoder and decoder, as transformers'
 * `BartForSequenceClassification` and `BartForConditionalGeneration` compute it. The classifier reads the decoder at
 * the text's last token, which the tokenizer ends every text with.
 */
export const bart: Backbone<BartConfig> = {
  family: 'bart',
  title: 'BART',
  accepts: (config) => config.model_type === 'bart',
  configure,
  basePrefix: 'model.',
  diskName: (path) => path.replace(/\.shared\.weight$/, '.encoder.embed_tokens.weight'),
  modality: 'text',
  inputs: (_, size) => textInputs(size, 'decoder_ids'),
  decoderStart: (config) => config.start,

  forward(root, { ids, mask, decoder_ids }, config) {
    const scope = root.child('model');
    const words = (of: Tensor) => mul(scope.embedding(of, 'shared'), config.scale);
    const given = scope.tokens(words(ids), 0);
    const seen = paddingBias(maskOf(given, mask));
    const encoded = encode(scope.child('encoder'), given, seen, config);
    const last = decode(scope.child('decoder'), words(decoder_ids), encoded, seen, config);
    return { features: lastToken(last, mask), last };
  },

  languageHead: (root, { last }) =>
    vocabularyLogits(root, last, {
      own: 'lm_head.weight',
      tied: 'model.shared.weight',
      bias: ['final_logits_bias'],
    }),

  featureSize: (config) => config.hidden,
  blocks: ({ encoder, decoder }) => encoder.blocks + decoder.blocks,
  blockOf(path, { encoder, decoder }) {
    const match = /(encoder|decoder)\.layers\.(\d+)\./.exec(path);
    if (match) return Number(match[2]) + (match[1] === 'decoder' ? encoder.blocks : 0);
    return path.startsWith('model.') ? -1 : encoder.blocks + decoder.blocks;
  },
  head: ({ hidden }) => ({
    path: 'classification_head.out_proj',
    bias: true,
    hidden: [{ path: 'classification_head.dense', width: hidden, activation: 'tanh' }],
  }),
  taskClass: 'BartForSequenceClassification',
  languageClass: 'BartForConditionalGeneration',
  presets: ({ decoder }) => {
    const parts = ['q_proj', 'k_proj', 'v_proj', 'out_proj'];
    const attention = ['self_attn', 'encoder_attn'].flatMap((name) => parts.map((part) => `${name}.${part}`));
    return textPresets(decoder.blocks, (i) => `model.decoder.layers.${i}`, {
      usual: { label: 'Query and value', targets: ['q_proj', 'v_proj'] },
      attention,
      mlp: ['fc1', 'fc2'],
    });
  },
  size: ({ most }) => tokenSize(most),
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function configure(config: JsonObject): BartConfig {
  // Options of relatives that were saved under the same name before they had their own.
  requireOption(config, 'normalize_before', false);
  requireOption(config, 'add_final_layer_norm', false);
  requireOption(config, 'normalize_embedding', true);
  requireOption(config, 'static_position_embeddings', false);
  requireOption(config, 'is_encoder_decoder', true);
  const hidden = readNumber(config, 'd_model', 1024);
  const part = (name: string) => {
    const heads = readNumber(config, `${name}_attention_heads`, 16);
    checkHeads(hidden, heads);
    return { heads, blocks: readNumber(config, `${name}_layers`, 12) };
  };
  return {
    hidden,
    encoder: part('encoder'),
    decoder: part('decoder'),
    activation: readActivation(config, 'activation_function', 'gelu'),
    scale: readBoolean(config, 'scale_embedding', false) ? Math.sqrt(hidden) : 1,
    most: readNumber(config, 'max_position_embeddings', 1024),
    start: readId(config, 'decoder_start_token_id', readId(config, 'eos_token_id', 2)),
  };
}

function embed(scope: Scope, words: Tensor): Tensor {
  const placed = add(words, learntPositions(scope, 'embed_positions', words.shape[1], OFFSET));
  return scope.layerNorm(placed, 'layernorm_embedding', EPS);
}

function encode(scope: Scope, words: Tensor, seen: Tensor, config: BartConfig): Tensor {
  let x = embed(scope, words);
  for (let i = 0; i < config.encoder.blocks; i++) {
    const layer = scope.child('layers').child(i);
    x = attended(layer, x, 'self_attn', config.encoder.heads, { bias: seen });
    x = perceptron(layer, x, config);
  }
  return x;
}

function decode(scope: Scope, words: Tensor, encoded: Tensor, seen: Tensor, config: BartConfig): Tensor {
  const { heads, blocks } = config.decoder;
  let x = embed(scope, words);
  for (let i = 0; i < blocks; i++) {
    const layer = scope.child('layers').child(i);
    x = attended(layer, x, 'self_attn', heads, { causal: true });
    x = attended(layer, x, 'encoder_attn', heads, { bias: seen, of: encoded });
    x = perceptron(layer, x, config);
  }
  return x;
}

/** Attention to the tokens themselves or to those of `of`, and the norm behind it. */
function attended(
  scope: Scope,
  x: Tensor,
  name: string,
  heads: number,
  { bias, causal, of = x }: { bias?: Tensor; causal?: boolean; of?: Tensor },
): Tensor {
  const y = scope.residual(x, name, 'attention', () => {
    const attention = scope.child(name);
    const q = attention.linear(x, 'q_proj');
    const [k, v] = ['k_proj', 'v_proj'].map((part) => attention.linear(of, part));
    return attention.linear(attention.attention(q, k, v, { heads, causal, bias }), 'out_proj');
  });
  return scope.layerNorm(y, `${name}_layer_norm`, EPS);
}

function perceptron(scope: Scope, x: Tensor, { activation }: BartConfig): Tensor {
  const y = scope.residual(x, 'fc2', 'mlp', () => scope.linear(activation(scope.linear(x, 'fc1')), 'fc2'));
  return scope.layerNorm(y, 'final_layer_norm', EPS);
}
