import {
  add,
  concat,
  layerNorm,
  mul,
  reshape,
  slice,
  type Tensor,
  transpose,
} from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { framesPerSecond } from '../data/audio/features.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead } from './backbone.ts';
import { type Activation, readActivation, readNumber } from './readConfig.ts';
import { mlp, prepend, selfAttention, transformerPresets } from './visionTransformer.ts';

export interface AstConfig {
  hidden: number;
  blocks: number;
  heads: number;
  eps: number;
  activation: Activation;
  patch: number;
  /** Mel bands, and frames from patch to patch: patches overlap where these are less than a patch. */
  mels: number;
  frequencyStride: number;
  timeStride: number;
  /** Frames that the position embeddings were made for. */
  frames: number;
}

/** The class token and the distillation token. */
const LEARNT = 2;

/**
 * The Audio Spectrogram Transformer (Gong et al., 2021, arxiv.org/abs/2104.01778), as transformers'
 * `ASTForAudioClassification` computes it: overlapping patches of a spectrogram, two class tokens, whose mean goes
 * through the head's norm (frozen, and without effect on scale where a checkpoint has no head) to a linear layer. A
 * sample may be shorter than the positions were made for: then only those of the first moments are used, as
 * transformers computes with a configuration of that `max_length` and the same columns of the position table.
 */
export const ast: Backbone<AstConfig> = {
  family: 'audio-spectrogram-transformer',
  title: 'Audio Spectrogram Transformer',
  accepts: (config) => config.model_type === 'audio-spectrogram-transformer',

  configure(config: JsonObject) {
    const hidden = readNumber(config, 'hidden_size', 768);
    const heads = readNumber(config, 'num_attention_heads', 12);
    if (hidden % heads)
      throw new ConfigError(
        `config.json has hidden_size ${hidden}, which ${heads} attention heads cannot share.`,
      );
    return {
      hidden,
      heads,
      blocks: readNumber(config, 'num_hidden_layers', 12),
      eps: readNumber(config, 'layer_norm_eps', 1e-12),
      activation: readActivation(config, 'hidden_act', 'gelu'),
      patch: readNumber(config, 'patch_size', 16),
      mels: readNumber(config, 'num_mel_bins', 128),
      frequencyStride: readNumber(config, 'frequency_stride', 10),
      timeStride: readNumber(config, 'time_stride', 10),
      frames: readNumber(config, 'max_length', 1024),
    };
  },

  diskName: (path) =>
    path
      .replace(/\blayers\.(\d+)/, 'encoder.layer.$1')
      .replace('.attention.q_proj', '.attention.attention.query')
      .replace('.attention.k_proj', '.attention.attention.key')
      .replace('.attention.v_proj', '.attention.attention.value')
      .replace('.attention.o_proj', '.attention.output.dense')
      .replace('.mlp.fc1', '.intermediate.dense')
      .replace('.mlp.fc2', '.output.dense'),
  basePrefix: 'audio_spectrogram_transformer.',
  modality: 'audio',
  inputs: ({ mels }, seconds) => [
    { name: 'mel', shape: [Math.round(seconds * framesPerSecond), mels], dtype: 'f32' },
  ],

  forward(root, { mel }, config) {
    const scope = root.child('audio_spectrogram_transformer');
    const embedded = embed(scope.child('embeddings'), mel, config);
    let x = scope.tokens(embedded);
    // Learnt tokens, where a method brings some, stand between the two class tokens.
    const added = x.shape[1] - embedded.shape[1];
    for (let i = 0; i < config.blocks; i++) x = block(scope.child('layers').child(i), x, config);
    const last = scope.layerNorm(x, 'layernorm', config.eps);
    const pooled = mul(add(tokenAt(last, 0), tokenAt(last, 1 + added)), 0.5);
    const head = root.child('classifier');
    const features = head.has('layernorm.weight')
      ? layerNorm(pooled, head.weight('layernorm.weight'), head.weight('layernorm.bias'), config.eps)
      : layerNorm(pooled, null, null, config.eps);
    return { features, last };
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf(path, { blocks }) {
    const match = /\blayers\.(\d+)\./.exec(path);
    return match ? Number(match[1]) : path.includes('.embeddings.') ? -1 : blocks;
  },
  head: () => linearHead('classifier.dense'),
  taskClass: 'ASTForAudioClassification',
  presets: ({ blocks }) =>
    transformerPresets(blocks, (i) => `audio_spectrogram_transformer.layers.${i}`, ['fc1', 'fc2']),
  size({ frames, patch }) {
    const max = frames / framesPerSecond;
    return {
      default: max,
      min: Math.min(max, Math.max(0.5, patch / framesPerSecond)),
      max,
      multiple: 0.01,
      unit: 's',
    };
  },
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

/** mel [B, frames, mels] to tokens [B, 2 + patches, D], the bands of a moment apart by a row of moments. */
function embed(scope: Scope, mel: Tensor, config: AstConfig): Tensor {
  const { hidden, mels, patch, frequencyStride, timeStride, frames } = config;
  const [batch, time] = mel.shape;
  const picture = reshape(transpose(mel, [0, 2, 1]), [batch, mels, time, 1]);
  const maps = scope
    .child('patch_embeddings')
    .conv2d(picture, 'projection', { stride: [frequencyStride, timeStride] });
  const [, rows, columns] = maps.shape;
  const learnt = [scope.weight('cls_token'), scope.weight('distillation_token')];
  const tokens = prepend(learnt, reshape(maps, [batch, rows * columns, hidden]));
  const stored = Math.floor((frames - patch) / timeStride) + 1;
  return add(tokens, positions(scope.weight('position_embeddings'), rows, stored, columns));
}

/** Positions [1, 2 + rows × stored, D], of each row the first `columns`: [2 + rows × columns, D]. */
function positions(learnt: Tensor, rows: number, stored: number, columns: number): Tensor {
  const [, count, hidden] = learnt.shape;
  if (count !== LEARNT + rows * stored)
    throw new ConfigError(
      `The position table has ${count} rows where ${LEARNT + rows * stored} are needed; config.json does not fit these weights.`,
    );
  const table = reshape(learnt, [count, hidden]);
  if (columns === stored) return table;
  const grid = reshape(slice(table, [LEARNT, 0], [rows * stored, hidden]), [rows, stored, hidden]);
  const first = reshape(slice(grid, [0, 0, 0], [rows, columns, hidden]), [rows * columns, hidden]);
  return concat([slice(table, [0, 0], [LEARNT, hidden]), first], 0);
}

function block(scope: Scope, x: Tensor, { heads, eps, activation }: AstConfig): Tensor {
  const h = scope.residual(x, 'attention', 'attention', () =>
    selfAttention(scope.child('attention'), scope.layerNorm(x, 'layernorm_before', eps), heads),
  );
  return scope.residual(h, 'mlp', 'mlp', () =>
    mlp(scope.child('mlp'), scope.layerNorm(h, 'layernorm_after', eps), activation),
  );
}

/** Token `at` of x [B, T, D]: [B, D]. */
function tokenAt(x: Tensor, at: number): Tensor {
  const [batch, , width] = x.shape;
  return reshape(slice(x, [0, at, 0], [batch, 1, width]), [batch, width]);
}
