import {
  add,
  conv2d,
  gelu,
  mean,
  mul,
  reshape,
  slice,
  softmax,
  type Tensor,
  transpose,
} from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { framesPerSecond } from '../data/audio/features.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError } from './backbone.ts';
import { type Activation, readActivation, readBoolean, readNumber } from './readConfig.ts';
import { textPresets } from './text.ts';

export interface WhisperConfig {
  hidden: number;
  blocks: number;
  heads: number;
  /** Mel bands. */
  mels: number;
  /** Tokens that the stored positions reach to, 50 a second. */
  positions: number;
  activation: Activation;
  /** Width of the projection before the last layer of the head. */
  projection: number;
  /** Whether the head reads a learnt mean of all layers' states instead of the last. */
  weightedSum: boolean;
}

/** The second convolution halves the frames. */
const tokensPerSecond = framesPerSecond / 2;
const EPS = 1e-5;

/**
 * Whisper's encoder (Radford et al., 2022, arxiv.org/abs/2212.04356), as transformers' `WhisperForAudioClassification`
 * computes it: the mean of the states, a projection and a linear layer. The projection is applied after the mean
 * instead of before it, which is the same sum. Whisper itself always hears 30 seconds; here a sample may be shorter, and
 * then only the first positions are used, as transformers does under a configuration with as many
 * `max_source_positions`. Files of the whole model are read too; their decoder is left aside.
 */
export const whisper: Backbone<WhisperConfig> = {
  family: 'whisper',
  title: 'Whisper encoder',
  accepts: (config) => config.model_type === 'whisper',

  configure(config: JsonObject) {
    const hidden = readNumber(config, 'd_model', 384);
    const heads = readNumber(config, 'encoder_attention_heads', 6);
    if (hidden % heads)
      throw new ConfigError(
        `config.json has d_model ${hidden}, which ${heads} attention heads cannot share.`,
      );
    return {
      hidden,
      heads,
      blocks: readNumber(config, 'encoder_layers', 4),
      mels: readNumber(config, 'num_mel_bins', 80),
      positions: readNumber(config, 'max_source_positions', 1500),
      activation: readActivation(config, 'activation_function', 'gelu'),
      projection: readNumber(config, 'classifier_proj_size', 256),
      weightedSum: readBoolean(config, 'use_weighted_layer_sum', false),
    };
  },

  diskName: (path) => (path.startsWith('encoder.') ? `model.${path}` : path),
  basePrefix: '',
  modality: 'audio',
  inputs: ({ mels }, seconds) => [
    { name: 'mel', shape: [mels, Math.round(seconds * framesPerSecond)], dtype: 'f32' },
  ],

  forward(root, { mel }, config) {
    const scope = root.child('encoder');
    const states = [scope.tokens(embed(scope, mel))];
    for (let i = 0; i < config.blocks; i++)
      states.push(block(scope.child('layers').child(i), states[i], config));
    const last = scope.layerNorm(states[config.blocks], 'layer_norm', EPS);
    const read = config.weightedSum
      ? weightedSum([...states.slice(0, -1), last], softmax(root.weight('layer_weights')))
      : last;
    return { features: mean(read, [1]), last };
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf(path, { blocks }) {
    const match = /\blayers\.(\d+)\./.exec(path);
    return match ? Number(match[1]) : /\.(conv\d|embed_positions)\./.test(path) ? -1 : blocks;
  },
  head: ({ projection }) => ({
    path: 'classifier',
    bias: true,
    hidden: [{ path: 'projector', width: projection, activation: 'none' }],
  }),
  taskClass: 'WhisperForAudioClassification',
  presets: ({ blocks }) =>
    textPresets(blocks, (i) => `encoder.layers.${i}`, {
      usual: { label: 'Query and value', targets: ['q_proj', 'v_proj'] },
      attention: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.out_proj'],
      mlp: ['fc1', 'fc2'],
    }),
  size({ positions }) {
    const max = positions / tokensPerSecond;
    return { default: Math.min(5, max), min: Math.min(1, max), max, multiple: 1, unit: 's' };
  },
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

/** mel [B, mels, frames] to tokens [B, frames / 2, D] with their positions. */
function embed(scope: Scope, mel: Tensor): Tensor {
  const frames = transpose(mel, [0, 2, 1]);
  const x = gelu(conv1d(scope.child('conv2'), gelu(conv1d(scope.child('conv1'), frames, 1)), 2));
  const [, tokens, hidden] = x.shape;
  const positions = slice(scope.weight('embed_positions.weight'), [0, 0], [tokens, hidden]);
  return add(x, positions);
}

/** A convolution of three frames over x [B, T, C], a zero at either end, by the weight [O, C, 3]: [B, T / stride, O]. */
function conv1d(module: Scope, x: Tensor, stride: number): Tensor {
  const [batch, time, channels] = x.shape;
  const weight = module.weight('weight');
  const [out, , width] = weight.shape;
  const y = conv2d(reshape(x, [batch, 1, time, channels]), reshape(weight, [out, channels, 1, width]), {
    stride: [1, stride],
    padding: [0, 0, 1, 1],
  });
  return add(reshape(y, [batch, y.shape[2], out]), module.weight('bias'));
}

/** Norms come first; the query has a bias and the key has none. */
function block(scope: Scope, x: Tensor, { heads, activation }: WhisperConfig): Tensor {
  const h = scope.residual(x, 'self_attn', 'attention', () => {
    const attention = scope.child('self_attn');
    const normed = scope.layerNorm(x, 'self_attn_layer_norm', EPS);
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((name) => attention.linear(normed, name));
    return attention.linear(attention.attention(q, k, v, { heads }), 'out_proj');
  });
  return scope.residual(h, 'fc2', 'mlp', () =>
    scope.linear(activation(scope.linear(scope.layerNorm(h, 'final_layer_norm', EPS), 'fc1')), 'fc2'),
  );
}

/** States [B, T, D] by weights that sum to one [states]. */
function weightedSum(states: readonly Tensor[], weights: Tensor): Tensor {
  return states
    .map((x, i) => mul(x, reshape(slice(weights, [i], [1]), [1, 1, 1])))
    .reduce((sum, x) => add(sum, x));
}
