import { mean, nchwToNhwc, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { ConvOptions, Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import { batchNorm } from './batchNorm.ts';
import {
  type Activation,
  readActivation,
  readBoolean,
  readNumber,
  readPair,
  requireOption,
} from './readConfig.ts';

export interface MobileNetV2Config {
  /** Stride, dilation and whether the input is added, of each of the 16 blocks. */
  blocks: { stride: number; dilation: number; residual: boolean }[];
  /** Whether the stem has no expansion of its own. */
  shortStem: boolean;
  /** Features before the head. */
  features: number;
  eps: number;
  activation: Activation;
  /** TensorFlow's padding, which is uneven where the size is even; else as much on every side. */
  same: boolean;
  imageSize: number;
}

const WIDTHS = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320];
const STRIDES = [2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1];

/**
 * MobileNetV2 (Sandler et al., 2018, arxiv.org/abs/1801.04381) as transformers' `MobileNetV2ForImageClassification`
 * computes it. Widths are the weights' own.
 */
export const mobilenetV2: Backbone<MobileNetV2Config> = {
  family: 'mobilenet_v2',
  title: 'MobileNetV2',
  accepts: (config) => config.model_type === 'mobilenet_v2',
  configure,
  basePrefix: 'mobilenet_v2.',
  diskName: (path) => path,
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, config) {
    const scope = root.child('mobilenet_v2');
    let x = stem(scope.child('conv_stem'), nchwToNhwc(pixels), config);
    const layers = scope.child('layer');
    for (const [i, block] of config.blocks.entries()) {
      const from = x;
      const body = () => inverted(layers.child(i), from, block, config);
      x = block.residual ? layers.residual(from, `${i}`, 'conv', body) : body();
    }
    const last = layer(scope.child('conv_1x1'), x, config);
    return { features: mean(last, [1, 2]), last };
  },

  featureSize: (config) => config.features,
  blocks: ({ blocks }) => blocks.length,
  blockOf(path, { blocks }) {
    const match = /\.layer\.(\d+)\./.exec(path);
    return match ? Number(match[1]) : path.includes('.conv_stem.') ? -1 : blocks.length;
  },
  head: () => linearHead('classifier'),
  taskClass: 'MobileNetV2ForImageClassification',
  presets: ({ blocks }) => [
    {
      id: 'late-pointwise',
      label: '1×1 convolutions of the last six blocks',
      targets: pointwise(10, blocks.length),
    },
    {
      id: 'last-pointwise',
      label: '1×1 convolutions of the last three blocks',
      targets: pointwise(13, blocks.length),
    },
    { id: 'all-pointwise', label: 'All 1×1 convolutions', targets: pointwise(0, blocks.length) },
  ],
  size: ({ imageSize }) => ({
    default: imageSize,
    min: 32,
    max: Math.max(imageSize, 512),
    multiple: 4,
    unit: 'px',
  }),
  defaults: () => ({ lr: 3e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function configure(config: JsonObject): MobileNetV2Config {
  requireOption(config, 'num_channels', 3);
  const multiplier = readNumber(config, 'depth_multiplier', 1);
  const divisor = readNumber(config, 'depth_divisible_by', 8);
  const least = readNumber(config, 'min_depth', 8);
  const outputStride = readNumber(config, 'output_stride', 32);
  if (![8, 16, 32].includes(outputStride))
    throw new ConfigError(`config.json has output_stride = ${outputStride}; supported are 8, 16 and 32.`);
  const scaled = (width: number) => divisible(Math.round(width * multiplier), divisor, least);
  const widths = WIDTHS.map(scaled);
  let reached = 2;
  let dilation = 1;
  const blocks = STRIDES.map((wanted, i) => {
    const wide = reached === outputStride;
    const block = { stride: wide ? 1 : wanted, dilation: wide ? dilation : 1 };
    if (wide) dilation *= wanted;
    else reached *= wanted;
    return { ...block, residual: block.stride === 1 && widths[i] === widths[i + 1] };
  });
  const fine = readBoolean(config, 'finegrained_output', true) && multiplier < 1;
  return {
    blocks,
    shortStem: readBoolean(config, 'first_layer_is_expansion', true),
    features: fine ? 1280 : scaled(1280),
    eps: readNumber(config, 'layer_norm_eps', 1e-3),
    activation: readActivation(config, 'hidden_act', 'relu6'),
    same: readBoolean(config, 'tf_padding', true),
    imageSize: readPair(config, 'image_size', 224)[0],
  };
}

/** The multiple of `divisor` nearest to a width, but no more than a tenth below it. */
function divisible(width: number, divisor: number, least: number): number {
  const near = Math.max(least, Math.floor((width + divisor / 2) / divisor) * divisor);
  return near < 0.9 * width ? near + divisor : near;
}

/** A convolution with its norm; `plain` leaves out the activation. */
function layer(
  scope: Scope,
  x: Tensor,
  { eps, activation, same }: MobileNetV2Config,
  { plain = false, ...options }: ConvOptions & { plain?: boolean } = {},
): Tensor {
  const reach = scope.child('convolution').weight('weight').shape[2];
  const padding = same ? 'same' : ((reach - 1) / 2) * (options.dilation ?? 1);
  const y = batchNorm(
    scope.child('normalization'),
    scope.conv2d(x, 'convolution', { ...options, padding }),
    eps,
  );
  return plain ? y : activation(y);
}

function stem(scope: Scope, x: Tensor, config: MobileNetV2Config): Tensor {
  const first = layer(scope.child('first_conv'), x, config, { stride: 2 });
  const wide = config.shortStem ? first : layer(scope.child('expand_1x1'), first, config);
  const h = layer(scope.child('conv_3x3'), wide, config, { groups: wide.shape[3] });
  return layer(scope.child('reduce_1x1'), h, config, { plain: true });
}

/** 1×1 expansion, depthwise, 1×1 projection without activation. */
function inverted(
  scope: Scope,
  x: Tensor,
  { stride, dilation }: MobileNetV2Config['blocks'][number],
  config: MobileNetV2Config,
): Tensor {
  const wide = layer(scope.child('expand_1x1'), x, config);
  const h = layer(scope.child('conv_3x3'), wide, config, { stride, dilation, groups: wide.shape[3] });
  return layer(scope.child('reduce_1x1'), h, config, { plain: true });
}

/** Paths of the 1×1 convolutions from a block on, the last layer's with them. */
function pointwise(from: number, blocks: number): string[] {
  const paths = Array.from({ length: blocks - from }, (_, i) => `mobilenet_v2.layer.${from + i}`);
  return [
    ...paths.flatMap((path) => [`${path}.expand_1x1.convolution`, `${path}.reduce_1x1.convolution`]),
    'mobilenet_v2.conv_1x1.convolution',
  ];
}
