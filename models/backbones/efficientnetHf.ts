import {
  maxPool2d,
  mean,
  mul,
  nchwToNhwc,
  pad,
  reshape,
  sigmoid,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import { batchNorm } from './batchNorm.ts';
import {
  type Activation,
  readActivation,
  readNumber,
  readNumbers,
  readPair,
  requireOption,
} from './readConfig.ts';

interface Block {
  kernel: number;
  stride: number;
  expands: boolean;
  residual: boolean;
  /** Whether the padding of a stride of 2 is one less above and to the left. */
  uneven: boolean;
}

export interface EfficientNetHfConfig {
  blocks: Block[];
  features: number;
  eps: number;
  activation: Activation;
  pooling: 'mean' | 'max';
  imageSize: number;
}

/**
 * EfficientNet (Tan & Le, 2019, arxiv.org/abs/1905.11946), squeeze-and-excitation and all, as transformers'
 * `EfficientNetForImageClassification` computes it. Widths are the weights' own.
 */
export const efficientnetHf: Backbone<EfficientNetHfConfig> = {
  family: 'efficientnet',
  title: 'EfficientNet',
  accepts: (config) => config.model_type === 'efficientnet',
  configure,
  basePrefix: 'efficientnet.',
  diskName: (path) => path,
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, config) {
    const { blocks, eps, activation, pooling } = config;
    const scope = root.child('efficientnet');
    const stem = scope.child('embeddings');
    const whole = pad(nchwToNhwc(pixels), [0, 0, 0, 0], [0, 1, 1, 0]);
    let x = activation(
      batchNorm(stem.child('batchnorm'), stem.conv2d(whole, 'convolution', { stride: 2 }), eps),
    );
    const encoder = scope.child('encoder');
    for (const [i, block] of blocks.entries()) {
      const from = x;
      const body = () => convolved(encoder.child('blocks').child(i), from, block, config);
      x = block.residual ? encoder.child('blocks').residual(from, `${i}`, 'conv', body) : body();
    }
    const last = activation(batchNorm(encoder.child('top_bn'), encoder.conv2d(x, 'top_conv'), eps));
    const [batch, height, width, channels] = last.shape;
    const largest = () => reshape(maxPool2d(last, [height, width]), [batch, channels]);
    return { features: pooling === 'mean' ? mean(last, [1, 2]) : largest(), last };
  },

  featureSize: (config) => config.features,
  blocks: ({ blocks }) => blocks.length,
  blockOf(path, { blocks }) {
    const match = /\.blocks\.(\d+)\./.exec(path);
    return match ? Number(match[1]) : path.includes('.embeddings.') ? -1 : blocks.length;
  },
  head: () => linearHead('classifier'),
  taskClass: 'EfficientNetForImageClassification',
  presets({ blocks }) {
    const from = (share: number) => pointwise(blocks, Math.floor(blocks.length * share));
    return [
      { id: 'late-pointwise', label: '1×1 convolutions of the last third', targets: from(2 / 3) },
      { id: 'all-pointwise', label: 'All 1×1 convolutions', targets: from(0) },
    ];
  },
  size: ({ imageSize }) => ({
    default: imageSize,
    min: 64,
    max: Math.max(imageSize, 512),
    multiple: 4,
    unit: 'px',
  }),
  defaults: () => ({ lr: 3e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function configure(config: JsonObject): EfficientNetHfConfig {
  requireOption(config, 'num_channels', 3);
  const repeats = readNumbers(config, 'num_block_repeats', [1, 2, 2, 3, 3, 4, 1]);
  const stages = {
    strides: readNumbers(config, 'strides', [1, 2, 2, 2, 1, 2, 1]),
    kernel_sizes: readNumbers(config, 'kernel_sizes', [3, 3, 5, 3, 5, 5, 3]),
    expand_ratios: readNumbers(config, 'expand_ratios', [1, 6, 6, 6, 6, 6, 6]),
  };
  for (const [name, list] of Object.entries(stages))
    if (list.length !== repeats.length)
      throw new ConfigError(
        `config.json has ${repeats.length} num_block_repeats and ${list.length} ${name}; each stage needs one of both.`,
      );
  const depth = readNumber(config, 'depth_coefficient', 3.1);
  const square = new Set(readNumbers(config, 'depthwise_padding', []));
  const blocks: Block[] = [];
  for (const [s, count] of repeats.entries())
    for (let b = 0; b < Math.ceil(depth * count); b++) {
      const stride = b === 0 ? stages.strides[s] : 1;
      blocks.push({
        stride,
        kernel: stages.kernel_sizes[s],
        expands: stages.expand_ratios[s] !== 1,
        residual: b > 0 && stride === 1,
        uneven: !square.has(blocks.length),
      });
    }
  const pooling = config.pooling_type ?? 'mean';
  if (pooling !== 'mean' && pooling !== 'max')
    throw new ConfigError(
      `config.json has pooling_type = ${JSON.stringify(pooling)}; only "mean" and "max" are supported.`,
    );
  return {
    blocks,
    pooling,
    features: readNumber(config, 'hidden_dim', 2560),
    eps: readNumber(config, 'batch_norm_eps', 1e-3),
    activation: readActivation(config, 'hidden_act', 'swish'),
    imageSize: readPair(config, 'image_size', 600)[0],
  };
}

/** 1×1 expansion, depthwise, squeeze-and-excitation, 1×1 projection. */
function convolved(scope: Scope, x: Tensor, block: Block, { eps, activation }: EfficientNetHfConfig): Tensor {
  const expansion = scope.child('expansion');
  const wide = block.expands
    ? activation(batchNorm(expansion.child('expand_bn'), expansion.conv2d(x, 'expand_conv'), eps))
    : x;
  const depth = scope.child('depthwise_conv');
  const h = activation(batchNorm(depth.child('depthwise_norm'), depthwise(depth, wide, block), eps));
  const projection = scope.child('projection');
  const excited = excite(scope.child('squeeze_excite'), h, activation);
  return batchNorm(projection.child('project_bn'), projection.conv2d(excited, 'project_conv'), eps);
}

function depthwise(scope: Scope, x: Tensor, { kernel, stride, uneven }: Block): Tensor {
  const groups = x.shape[3];
  const half = kernel >> 1;
  if (stride !== 2) return scope.conv2d(x, 'depthwise_conv', { stride, padding: half, groups });
  const before = uneven ? half - 1 : half;
  const padded = pad(x, [0, before, before, 0], [0, half, half, 0]);
  return scope.conv2d(padded, 'depthwise_conv', { stride, groups });
}

/** Each channel by a factor that the means of all channels give. */
function excite(scope: Scope, x: Tensor, activation: Activation): Tensor {
  const squeezed = activation(scope.conv2d(mean(x, [1, 2], true), 'reduce'));
  return mul(x, sigmoid(scope.conv2d(squeezed, 'expand')));
}

/** Paths of the 1×1 convolutions from a block on, the top's with them. */
function pointwise(blocks: readonly Block[], from: number): string[] {
  const inBlocks = blocks.flatMap(({ expands }, i) => {
    const path = `efficientnet.encoder.blocks.${i}`;
    if (i < from) return [];
    return [...(expands ? [`${path}.expansion.expand_conv`] : []), `${path}.projection.project_conv`];
  });
  return [...inBlocks, 'efficientnet.encoder.top_conv'];
}
