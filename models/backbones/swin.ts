import { add, concat, mean, nchwToNhwc, pad, reshape, slice, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import { placePositions } from './positions.ts';
import {
  type Activation,
  readActivation,
  readBoolean,
  readNumber,
  readNumbers,
  readPair,
  requireOption,
} from './readConfig.ts';
import { mlp } from './visionTransformer.ts';
import {
  fromWindows,
  maskedBias,
  padToWindows,
  pairBias,
  roll,
  toWindows,
  type WindowGrid,
} from './windows.ts';

export interface SwinConfig {
  width: number;
  /** Blocks of each stage, and the heads of each. */
  depths: number[];
  heads: number[];
  window: number;
  eps: number;
  activation: Activation;
  /** Learnt positions of patches beside those within windows. */
  positions: boolean;
  imageSize: number;
  patch: number;
}

/** Of the norms that the configuration does not reach: PyTorch's own. */
const PLAIN_EPS = 1e-5;

/** Swin (Liu et al., 2021, arxiv.org/abs/2103.14030) as transformers' `SwinForImageClassification` computes it. */
export const swin: Backbone<SwinConfig> = {
  family: 'swin',
  title: 'Swin Transformer',
  accepts: (config) => config.model_type === 'swin',
  configure,
  basePrefix: 'swin.',
  diskName: (path) =>
    path
      .replace('.attention.q_proj', '.attention.self.query')
      .replace('.attention.k_proj', '.attention.self.key')
      .replace('.attention.v_proj', '.attention.self.value')
      .replace('.attention.o_proj', '.attention.output.dense')
      .replace('.attention.relative_position_bias.', '.attention.self.')
      .replace('.mlp.fc1', '.intermediate.dense')
      .replace('.mlp.fc2', '.output.dense'),
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, config) {
    const scope = root.child('swin');
    let x = embed(scope.child('embeddings'), pixels, config);
    for (let s = 0; s < config.depths.length; s++) {
      const stage = scope.child('encoder').child('layers').child(s);
      for (let b = 0; b < config.depths[s]; b++) x = block(stage.child('blocks').child(b), x, s, b, config);
      if (s < config.depths.length - 1) x = merge(stage.child('downsample'), x);
    }
    const last = scope.layerNorm(x, 'layernorm', config.eps);
    return { features: mean(last, [1, 2]), last };
  },

  featureSize: ({ width, depths }) => width * 2 ** (depths.length - 1),
  blocks: ({ depths }) => sum(depths),
  blockOf(path, { depths }) {
    const match = /\.layers\.(\d+)\.(?:blocks\.(\d+)|downsample)\./.exec(path);
    if (!match) return path.includes('.embeddings.') ? -1 : sum(depths);
    const stage = Number(match[1]);
    // What makes the map smaller ends its stage.
    return sum(depths.slice(0, stage)) + Number(match[2] ?? depths[stage] - 1);
  },
  head: () => linearHead('classifier'),
  taskClass: 'SwinForImageClassification',
  presets: ({ depths }) => {
    const attention = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];
    const last = depths.length - 1;
    const inLast = Array.from({ length: depths[last] }, (_, b) => `swin.encoder.layers.${last}.blocks.${b}`);
    return [
      { id: 'query-value', label: 'Query and value', targets: ['q_proj', 'v_proj'] },
      { id: 'attention', label: 'Attention', targets: attention },
      { id: 'all-linear', label: 'All linear layers', targets: ['all-linear'] },
      {
        id: 'last-stage',
        label: 'All linear layers of the last stage',
        targets: inLast.flatMap((path) => [
          ...attention.map((name) => `${path}.attention.${name}`),
          `${path}.mlp.fc1`,
          `${path}.mlp.fc2`,
        ]),
      },
    ];
  },
  size({ imageSize, patch, window, depths }) {
    // The last stage must hold a whole window.
    const least = patch * ((window - 1) * 2 ** (depths.length - 1) + 1);
    return { default: imageSize, min: least, max: Math.max(imageSize, 384), multiple: patch, unit: 'px' };
  },
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

function configure(config: JsonObject): SwinConfig {
  requireOption(config, 'num_channels', 3);
  const depths = readNumbers(config, 'depths', [2, 2, 6, 2]);
  const heads = readNumbers(config, 'num_heads', [3, 6, 12, 24]);
  const width = readNumber(config, 'embed_dim', 96);
  if (heads.length !== depths.length)
    throw new ConfigError(
      `config.json has ${depths.length} depths and ${heads.length} num_heads; each stage needs one of both.`,
    );
  heads.forEach((n, s) => {
    if ((width * 2 ** s) % n)
      throw new ConfigError(
        `config.json has embed_dim ${width}, so stage ${s} has ${width * 2 ** s} features, which ${n} attention heads cannot share.`,
      );
  });
  const [imageSize, imageWidth] = readPair(config, 'image_size', 224);
  const [patch, patchWidth] = readPair(config, 'patch_size', 4);
  if (imageSize !== imageWidth || patch !== patchWidth)
    throw new ConfigError(
      `config.json has image_size ${imageSize} × ${imageWidth} and patch_size ${patch} × ${patchWidth}; only squares are supported.`,
    );
  return {
    width,
    depths,
    heads,
    window: readNumber(config, 'window_size', 7),
    eps: readNumber(config, 'layer_norm_eps', 1e-5),
    activation: readActivation(config, 'hidden_act', 'gelu'),
    positions: readBoolean(config, 'use_absolute_embeddings', false),
    imageSize,
    patch,
  };
}

/** Patches of pixels [B, 3, H, W], zeros completing the last ones: [B, h, w, C]. */
function embed(scope: Scope, pixels: Tensor, { patch, positions }: SwinConfig): Tensor {
  const x = nchwToNhwc(pixels);
  const [, height, width] = x.shape;
  const rest = (n: number) => (patch - (n % patch)) % patch;
  const whole = pad(x, [0, 0, 0, 0], [0, rest(height), rest(width), 0]);
  const patches = scope.child('patch_embeddings').conv2d(whole, 'projection', { stride: patch });
  const normed = scope.layerNorm(patches, 'norm', PLAIN_EPS);
  if (!positions) return normed;
  const [, rows, columns, hidden] = normed.shape;
  const placed = placePositions(scope.weight('position_embeddings'), { height: rows, width: columns }, 0);
  return add(normed, reshape(placed, [rows, columns, hidden]));
}

function block(scope: Scope, x: Tensor, stage: number, index: number, config: SwinConfig): Tensor {
  const { eps, activation } = config;
  const h = scope.residual(x, 'attention', 'attention', () =>
    windowAttention(
      scope.child('attention'),
      scope.layerNorm(x, 'layernorm_before', eps),
      stage,
      index,
      config,
    ),
  );
  return scope.residual(h, 'mlp', 'mlp', () =>
    mlp(scope.child('mlp'), scope.layerNorm(h, 'layernorm_after', eps), activation),
  );
}

/** Every second block moves its windows by half their side, unless one window is as large as the map. */
function windowAttention(
  scope: Scope,
  x: Tensor,
  stage: number,
  index: number,
  { window: side, heads: all, patch }: SwinConfig,
): Tensor {
  const [batch, height, width] = x.shape;
  const least = Math.min(height, width);
  if (least < side)
    throw new ConfigError(
      `At this size the map of stage ${stage} has ${height} × ${width} places, fewer than a window of ${side}. Choose pictures of at least ${patch * ((side - 1) * 2 ** stage + 1)} px.`,
    );
  const shift = index % 2 && least > side ? side >> 1 : 0;
  const heads = all[stage];
  const { padded, grid } = padToWindows(x, side);
  const windows = toWindows(roll(padded, shift), grid);
  const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((name) => scope.linear(windows, name));
  const table = scope.child('relative_position_bias').weight('relative_position_bias_table');
  const near = pairBias(table, relativeEntries(side), side * side);
  const bias = shift ? maskedBias(near, shiftMask(grid, shift), batch) : near;
  const mixed = scope.linear(scope.attention(q, k, v, { heads, bias }), 'o_proj');
  return slice(roll(fromWindows(mixed, grid), -shift), [0, 0, 0, 0], x.shape);
}

/** The row of the table that a pair of places reads: by how far they are apart down and across. */
function relativeEntries(side: number): Uint32Array {
  const places = side * side;
  return Uint32Array.from({ length: places * places }, (_, i) => {
    const [a, b] = [Math.floor(i / places), i % places];
    const down = Math.floor(a / side) - Math.floor(b / side) + side - 1;
    return down * (2 * side - 1) + (a % side) - (b % side) + side - 1;
  });
}

/** -100 between places of a window that were not neighbours before the roll, as transformers has it: [windows, T, T]. */
function shiftMask({ side, rows, columns }: WindowGrid, shift: number): Float32Array {
  const region = (at: number, size: number) => Number(at >= size - side) + Number(at >= size - shift);
  const places = side * side;
  const mask = new Float32Array(rows * columns * places * places);
  const regionOf = (window: number, place: number) => {
    const y = Math.floor(window / columns) * side + Math.floor(place / side);
    const x = (window % columns) * side + (place % side);
    return region(y, rows * side) * 3 + region(x, columns * side);
  };
  for (let i = 0; i < mask.length; i++) {
    const window = Math.floor(i / (places * places));
    const [a, b] = [Math.floor(i / places) % places, i % places];
    if (regionOf(window, a) !== regionOf(window, b)) mask[i] = -100;
  }
  return mask;
}

/** Four neighbours beside each other, normed and projected to twice the width: [B, h, w, C] to [B, ⌈h/2⌉, ⌈w/2⌉, 2 C]. */
function merge(scope: Scope, x: Tensor): Tensor {
  const [batch, height, width, channels] = x.shape;
  const even = pad(x, [0, 0, 0, 0], [0, height % 2, width % 2, 0]);
  const [rows, columns] = [Math.ceil(height / 2), Math.ceil(width / 2)];
  const pairs = reshape(even, [batch * rows, 2, columns, 2 * channels]);
  const corner = (row: number, column: number) =>
    slice(pairs, [0, row, 0, column * channels], [batch * rows, 1, columns, channels]);
  const four = concat([corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1)], 3);
  const together = reshape(four, [batch, rows, columns, 4 * channels]);
  return scope.linear(scope.layerNorm(together, 'norm', PLAIN_EPS), 'reduction');
}
