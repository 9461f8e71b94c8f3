import { add, concat, nchwToNhwc, silu, type Tensor, upsampleNearest } from '../../gpu-shaders/index.ts';
import { ConfigError } from '../backbones/backbone.ts';
import { readBoolean, readNumber, readNumbers } from '../backbones/readConfig.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import type { Denoiser, DenoiserInputs } from './denoiser.ts';
import { embedTime, nhwcToNchw, normGroups, type ResnetShape, resnet } from './parts.ts';
import { readNames, readOptional, readPerBlock, readSides, requireOptions } from './read.ts';
import { spatialTransformer } from './spatial.ts';

/** One resolution of the network. */
export interface UnetLevel {
  channels: number;
  resnets: number;
  /** Transformer blocks behind each resnet; 0 where the level has no attention. */
  transformers: number;
  heads: number;
}

export interface UnetConfig {
  channels: number;
  out: number;
  sides: [number, number];
  /** On the way down; `up` lists them as the way up meets them. */
  down: UnetLevel[];
  up: UnetLevel[];
  mid: { transformers: number; heads: number } | null;
  contextWidth: number;
  classes: number;
  time: { width: number; cosinesFirst: boolean; shift: number };
  groups: number;
  eps: number;
  scaleShift: ResnetShape['time'];
  linearProjection: boolean;
  centred: boolean;
  kernels: { in: number; out: number };
}

const DOWN = ['CrossAttnDownBlock2D', 'DownBlock2D'];
const UP = ['CrossAttnUpBlock2D', 'UpBlock2D'];

/** Options with the one value, or the few, that the forward pass below is written for. */
const served = {
  act_fn: ['silu', 'swish'],
  mid_block_type: ['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D'],
  only_cross_attention: [false],
  mid_block_only_cross_attention: [false],
  dual_cross_attention: [false],
  downsample_padding: [1],
  mid_block_scale_factor: [1],
  resnet_out_scale_factor: [1],
  resnet_skip_time_act: [false],
  resnet_time_scale_shift: ['default', 'scale_shift'],
  time_embedding_type: ['positional'],
  time_embedding_act_fn: [],
  timestep_post_act: [],
  time_cond_proj_dim: [],
  class_embed_type: [],
  class_embeddings_concat: [false],
  projection_class_embeddings_input_dim: [],
  addition_embed_type: [],
  addition_time_embed_dim: [],
  encoder_hid_dim: [],
  encoder_hid_dim_type: [],
  num_attention_heads: [],
  reverse_transformer_layers_per_block: [],
  attention_type: ['default'],
  cross_attention_norm: [],
  conv_in_kernel: [1, 3, 5],
  conv_out_kernel: [1, 3, 5],
} as const;

function configure(config: JsonObject): UnetConfig {
  requireOptions(config, served);
  const downTypes = readNames(config, 'down_block_types', [...Array(3).fill(DOWN[0]), DOWN[1]], DOWN);
  const upTypes = readNames(config, 'up_block_types', [UP[1], ...Array(3).fill(UP[0])], UP);
  const widths = readNumbers(config, 'block_out_channels', [320, 640, 1280, 1280]);
  const count = widths.length;
  if (downTypes.length !== count || upTypes.length !== count)
    throw new ConfigError(
      `config.json has ${count} block_out_channels, ${downTypes.length} down_block_types and ${upTypes.length} up_block_types; as many of each are needed.`,
    );
  const resnets = readPerBlock(config, 'layers_per_block', 2, count);
  const transformers = readPerBlock(config, 'transformer_layers_per_block', 1, count);
  // Under this name diffusers keeps the number of heads, not their width.
  const heads = readPerBlock(config, 'attention_head_dim', 8, count);
  const level = (i: number, type: string, more: number): UnetLevel => ({
    channels: widths[i],
    resnets: resnets[i] + more,
    transformers: type.startsWith('Cross') ? transformers[i] : 0,
    heads: heads[i],
  });
  const width = readOptional(config, 'time_embedding_dim', 4 * widths[0]);
  const channels = readNumber(config, 'in_channels', 4);
  return {
    channels,
    out: readNumber(config, 'out_channels', 4),
    sides: readSides(config, 'sample_size', 64),
    down: downTypes.map((type, i) => level(i, type, 0)),
    up: upTypes.map((type, i) => level(count - 1 - i, type, 1)),
    mid:
      config.mid_block_type === null
        ? null
        : {
            transformers: config.mid_block_type === 'UNetMidBlock2D' ? 0 : transformers[count - 1],
            heads: heads[count - 1],
          },
    contextWidth: readNumber(config, 'cross_attention_dim', 1280),
    classes: readOptional(config, 'num_class_embeds', 0),
    time: {
      width,
      cosinesFirst: readBoolean(config, 'flip_sin_to_cos', true),
      shift: readNumber(config, 'freq_shift', 0),
    },
    groups: readNumber(config, 'norm_num_groups', 32),
    eps: readNumber(config, 'norm_eps', 1e-5),
    scaleShift: (config.resnet_time_scale_shift ?? 'default') as ResnetShape['time'],
    linearProjection: readBoolean(config, 'use_linear_projection', false),
    centred: readBoolean(config, 'center_input_sample', false),
    kernels: { in: readNumber(config, 'conv_in_kernel', 3), out: readNumber(config, 'conv_out_kernel', 3) },
  };
}

/** UNet with cross-attention, as diffusers' `UNet2DConditionModel` (Rombach et al., 2022). */
export const unet: Denoiser<UnetConfig> = {
  className: 'UNet2DConditionModel',
  title: 'UNet',
  configure,
  conditions: ({ classes, contextWidth, down, mid }) => ({
    classes,
    nullClass: null,
    context: down.some((l) => l.transformers) || mid?.transformers ? contextWidth : 0,
  }),
  latents: ({ channels, sides: [height, width] }) => ({ channels, height, width }),
  multiple: ({ down }) => 2 ** (down.length - 1),
  forward,
  blocks: ({ down }) => 2 * down.length + 1,
  blockOf(path, { down }) {
    const found = /^(down|up)_blocks\.(\d+)\./.exec(path);
    if (found) return Number(found[2]) + (found[1] === 'up' ? down.length + 1 : 0);
    if (path.startsWith('mid_block.')) return down.length;
    return /^conv_(norm_)?out\./.test(path) ? 2 * down.length + 1 : -1;
  },
  presets: () => [
    { id: 'attention', label: 'Attention', targets: ['to_q', 'to_k', 'to_v', 'to_out.0'] },
    {
      id: 'cross-attention',
      label: 'Cross-attention',
      targets: ['attn2.to_q', 'attn2.to_k', 'attn2.to_v', 'attn2.to_out.0'],
    },
    { id: 'all-linear', label: 'All linear layers', targets: ['all-linear'] },
  ],
};

/** What every block reads beside the maps. */
interface Flow {
  config: UnetConfig;
  time: Tensor;
  context?: Tensor;
}

function forward(scope: Scope, inputs: DenoiserInputs, config: UnetConfig): Tensor {
  const { latents, context } = inputs;
  const pixels = config.centred ? add(add(latents, latents), -1) : latents;
  const flow: Flow = { config, context, time: embedCondition(scope, inputs, config) };
  let x = scope.conv2d(nchwToNhwc(pixels), 'conv_in', { padding: (config.kernels.in - 1) / 2 });
  const skips = [x];
  config.down.forEach((level, i) => {
    const at = scope.child('down_blocks').child(i);
    for (let j = 0; j < level.resnets; j++) {
      x = stage(at, j, x, level, flow);
      skips.push(x);
    }
    if (i < config.down.length - 1) {
      x = at.conv2d(x, 'downsamplers.0.conv', { stride: 2, padding: 1 });
      skips.push(x);
    }
  });
  if (config.mid) x = middle(scope.child('mid_block'), x, config.mid, flow);
  config.up.forEach((level, i) => {
    const at = scope.child('up_blocks').child(i);
    for (let j = 0; j < level.resnets; j++) x = stage(at, j, concat([x, skips.pop()!], 3), level, flow);
    if (i < config.up.length - 1) x = at.conv2d(upsampleNearest(x, 2), 'upsamplers.0.conv', { padding: 1 });
  });
  const even = silu(normGroups(scope, x, 'conv_norm_out', config.groups, config.eps));
  return nhwcToNchw(scope.conv2d(even, 'conv_out', { padding: (config.kernels.out - 1) / 2 }));
}

/** The time, and the class where there is one: [B, 4 channels]. */
function embedCondition(
  scope: Scope,
  { t, label }: DenoiserInputs,
  { time, down, classes }: UnetConfig,
): Tensor {
  const { cosinesFirst, shift } = time;
  const embedded = embedTime(scope.child('time_embedding'), t, down[0].channels, { cosinesFirst, shift });
  return classes ? add(embedded, scope.embedding(label!, 'class_embedding')) : embedded;
}

const resnetOf = ({ groups, eps, scaleShift }: UnetConfig): ResnetShape => ({
  groups,
  eps,
  time: scaleShift,
});

/** A resnet and the transformer behind it. */
function stage(
  scope: Scope,
  j: number,
  x: Tensor,
  level: UnetLevel,
  { config, time, context }: Flow,
): Tensor {
  const y = resnet(scope.child('resnets').child(j), x, time, resnetOf(config));
  if (!level.transformers) return y;
  const shape = { ...config, heads: level.heads, blocks: level.transformers };
  return spatialTransformer(scope.child('attentions').child(j), y, context, shape);
}

function middle(
  scope: Scope,
  x: Tensor,
  { transformers, heads }: NonNullable<UnetConfig['mid']>,
  flow: Flow,
): Tensor {
  const { config, time, context } = flow;
  const shape = { ...config, heads, blocks: transformers };
  let y = resnet(scope.child('resnets.0'), x, time, resnetOf(config));
  if (transformers) y = spatialTransformer(scope.child('attentions.0'), y, context, shape);
  // A middle without attention has one resnet in diffusers.
  return scope.has('resnets.1.conv1.weight')
    ? resnet(scope.child('resnets.1'), y, time, resnetOf(config))
    : y;
}
