import {
  add,
  nchwToNhwc,
  pad,
  reshape,
  silu,
  slice,
  type Tensor,
  upsampleNearest,
} from '../../gpu-shaders/index.ts';
import { ConfigError } from '../backbones/backbone.ts';
import { readBoolean, readNumber, readNumbers } from '../backbones/readConfig.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { attend, nhwcToNchw, normGroups, type ResnetShape, resnet } from './parts.ts';
import { readNames, readOptional, requireOptions } from './read.ts';

export interface VaeConfig {
  widths: number[];
  resnets: number;
  latentChannels: number;
  groups: number;
  /** A denoiser's latents are (encoded - shift) · scale. */
  scale: number;
  shift: number;
  quantConv: boolean;
  postQuantConv: boolean;
  midAttention: boolean;
}

/** Reads the configuration of an `AutoencoderKL`. Throws `ConfigError` naming the option that is not supported. */
export function configureVae(config: JsonObject): VaeConfig {
  requireOptions(config, {
    _class_name: ['AutoencoderKL'],
    act_fn: ['silu', 'swish'],
    latents_mean: [],
    latents_std: [],
    in_channels: [3],
    out_channels: [3],
  });
  const widths = readNumbers(config, 'block_out_channels', [64]);
  const down = readNames(config, 'down_block_types', ['DownEncoderBlock2D'], ['DownEncoderBlock2D']);
  const up = readNames(config, 'up_block_types', ['UpDecoderBlock2D'], ['UpDecoderBlock2D']);
  if (down.length !== widths.length || up.length !== widths.length)
    throw new ConfigError(
      `config.json has ${widths.length} block_out_channels, ${down.length} down_block_types and ${up.length} up_block_types; as many of each are needed.`,
    );
  return {
    widths,
    resnets: readNumber(config, 'layers_per_block', 1),
    latentChannels: readNumber(config, 'latent_channels', 4),
    groups: readNumber(config, 'norm_num_groups', 32),
    scale: readNumber(config, 'scaling_factor', 0.18215),
    shift: readOptional(config, 'shift_factor', 0),
    quantConv: readBoolean(config, 'use_quant_conv', true),
    postQuantConv: readBoolean(config, 'use_post_quant_conv', true),
    midAttention: readBoolean(config, 'mid_block_add_attention', true),
  };
}

const EPS = 1e-6;
const shapeOf = ({ groups }: VaeConfig): ResnetShape => ({ groups, eps: EPS, time: 'default' });

/** Mean and logarithm of the variance of pixels [B, 3, H, W]: two of [B, latent channels, H / f, W / f]. */
export function encode(
  scope: Scope,
  pixels: Tensor,
  config: VaeConfig,
): { mean: Tensor; logVariance: Tensor } {
  const encoder = scope.child('encoder');
  let x = encoder.conv2d(nchwToNhwc(pixels), 'conv_in', { padding: 1 });
  config.widths.forEach((_, i) => {
    const at = encoder.child('down_blocks').child(i);
    for (let j = 0; j < config.resnets; j++)
      x = resnet(at.child('resnets').child(j), x, null, shapeOf(config));
    // The original network pads at the far edges only.
    if (i < config.widths.length - 1)
      x = at.conv2d(pad(x, [0, 0, 0, 0], [0, 1, 1, 0]), 'downsamplers.0.conv', { stride: 2 });
  });
  x = ends(encoder, middle(encoder.child('mid_block'), x, config), config);
  if (config.quantConv) x = scope.conv2d(x, 'quant_conv');
  const [b, h, w, c] = x.shape;
  const part = (i: number) => nhwcToNchw(slice(x, [0, 0, 0, (i * c) / 2], [b, h, w, c / 2]));
  return { mean: part(0), logVariance: part(1) };
}

/** Pixels [B, 3, H f, W f] of latents [B, C, H, W] on the autoencoder's own scale. */
export function decode(scope: Scope, latents: Tensor, config: VaeConfig): Tensor {
  const decoder = scope.child('decoder');
  let x = nchwToNhwc(latents);
  if (config.postQuantConv) x = scope.conv2d(x, 'post_quant_conv');
  x = middle(decoder.child('mid_block'), decoder.conv2d(x, 'conv_in', { padding: 1 }), config);
  config.widths.forEach((_, i) => {
    const at = decoder.child('up_blocks').child(i);
    for (let j = 0; j <= config.resnets; j++)
      x = resnet(at.child('resnets').child(j), x, null, shapeOf(config));
    if (i < config.widths.length - 1)
      x = at.conv2d(upsampleNearest(x, 2), 'upsamplers.0.conv', { padding: 1 });
  });
  return nhwcToNchw(ends(decoder, x, config));
}

const ends = (scope: Scope, x: Tensor, { groups }: VaeConfig): Tensor =>
  scope.conv2d(silu(normGroups(scope, x, 'conv_norm_out', groups, EPS)), 'conv_out', { padding: 1 });

function middle(scope: Scope, x: Tensor, config: VaeConfig): Tensor {
  let y = resnet(scope.child('resnets.0'), x, null, shapeOf(config));
  if (config.midAttention) {
    const at = scope.child('attentions.0');
    const [b, h, w, c] = y.shape;
    const tokens = reshape(normGroups(at, y, 'group_norm', config.groups, EPS), [b, h * w, c]);
    y = add(y, reshape(attend(at, tokens, { heads: 1 }), y.shape));
  }
  return resnet(scope.child('resnets.1'), y, null, shapeOf(config));
}

/** Files of older versions have other names for the attention's projections. */
export const vaeDiskName = (path: string): string =>
  path
    .replace(/(attentions\.0)\.to_q\./, '$1.query.')
    .replace(/(attentions\.0)\.to_k\./, '$1.key.')
    .replace(/(attentions\.0)\.to_v\./, '$1.value.')
    .replace(/(attentions\.0)\.to_out\.0\./, '$1.proj_attn.');
