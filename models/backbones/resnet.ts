import { add, maxPool2d, mean, nchwToNhwc, relu, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import { batchNorm } from './batchNorm.ts';
import { type Activation, readActivation, readBoolean, readNumbers, requireOption } from './readConfig.ts';

export interface ResNetConfig {
  depths: number[];
  widths: number[];
  bottleneck: boolean;
  /** Whether a bottleneck's first convolution, and not its second, halves the map. */
  early: boolean;
  /** Stride of the first stage. */
  firstStride: number;
  /** Of the stem and behind each sum; those inside blocks are ReLU whatever the configuration says. */
  activation: Activation;
}

/** PyTorch's own; the configuration has none. */
const EPS = 1e-5;

/** ResNet (He et al., 2016, arxiv.org/abs/1512.03385) as transformers' `ResNetForImageClassification` computes it. */
export const resnet: Backbone<ResNetConfig> = {
  family: 'resnet',
  title: 'ResNet',
  accepts: (config) => config.model_type === 'resnet',
  configure,
  basePrefix: 'resnet.',
  diskName: (path) => path,
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, config) {
    const scope = root.child('resnet');
    const stem = scope.child('embedder').child('embedder');
    const wide = config.activation(convolved(stem, nchwToNhwc(pixels), { stride: 2, padding: 3 }));
    let x = maxPool2d(wide, 3, { stride: 2, padding: 1 });
    for (const [s, depth] of config.depths.entries()) {
      const layers = scope.child('encoder').child('stages').child(s).child('layers');
      const stride = s === 0 ? config.firstStride : 2;
      for (let b = 0; b < depth; b++)
        x = config.activation(block(layers, b, x, b === 0 ? stride : 1, config));
    }
    return { features: mean(x, [1, 2]), last: x };
  },

  featureSize: ({ widths }) => widths.at(-1)!,
  blocks: ({ depths }) => sum(depths),
  blockOf(path, { depths }) {
    const match = /\.stages\.(\d+)\.layers\.(\d+)\./.exec(path);
    if (match) return sum(depths.slice(0, Number(match[1]))) + Number(match[2]);
    return path.includes('.embedder.') ? -1 : sum(depths);
  },
  head: () => linearHead('classifier.1'),
  taskClass: 'ResNetForImageClassification',
  presets(config) {
    const last = config.depths.length - 1;
    const from = (first: number) =>
      config.depths.flatMap((depth, s) =>
        Array.from({ length: s < first ? 0 : depth }, (_, b) => convolutions(s, b, config)).flat(),
      );
    return [
      { id: 'last-stage', label: 'Convolutions of the last stage', targets: from(last) },
      { id: 'late', label: 'Convolutions of the last two stages', targets: from(Math.max(0, last - 1)) },
      { id: 'all', label: 'Convolutions of all blocks', targets: from(0) },
    ];
  },
  size: () => ({ default: 224, min: 32, max: 512, multiple: 32, unit: 'px' }),
  defaults: () => ({ lr: 3e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

function configure(config: JsonObject): ResNetConfig {
  requireOption(config, 'num_channels', 3);
  const depths = readNumbers(config, 'depths', [3, 4, 6, 3]);
  const widths = readNumbers(config, 'hidden_sizes', [256, 512, 1024, 2048]);
  if (widths.length !== depths.length)
    throw new ConfigError(
      `config.json has ${depths.length} depths and ${widths.length} hidden_sizes; each stage needs one of both.`,
    );
  const kind = config.layer_type ?? 'bottleneck';
  if (kind !== 'basic' && kind !== 'bottleneck')
    throw new ConfigError(
      `config.json has layer_type = ${JSON.stringify(kind)}; only "basic" and "bottleneck" are supported.`,
    );
  return {
    depths,
    widths,
    bottleneck: kind === 'bottleneck',
    early: readBoolean(config, 'downsample_in_bottleneck', false),
    firstStride: readBoolean(config, 'downsample_in_first_stage', false) ? 2 : 1,
    activation: readActivation(config, 'hidden_act', 'relu'),
  };
}

/** A convolution and its norm. */
function convolved(scope: Scope, x: Tensor, options: { stride?: number; padding?: number }): Tensor {
  return batchNorm(scope.child('normalization'), scope.conv2d(x, 'convolution', options), EPS);
}

/** The sum before the last activation: of the convolutions and of x, which is projected where the shape changes. */
function block(
  layers: Scope,
  index: number,
  x: Tensor,
  stride: number,
  { bottleneck, early }: ResNetConfig,
): Tensor {
  const scope = layers.child(index);
  const layer = scope.child('layer');
  const body = () => (bottleneck ? narrowed(layer, x, stride, early) : basic(layer, x, stride));
  if (!scope.has('shortcut.convolution.weight')) return layers.residual(x, `${index}`, 'conv', body);
  return add(body(), convolved(scope.child('shortcut'), x, { stride }));
}

function basic(scope: Scope, x: Tensor, stride: number): Tensor {
  const h = relu(convolved(scope.child(0), x, { stride, padding: 1 }));
  return convolved(scope.child(1), h, { padding: 1 });
}

function narrowed(scope: Scope, x: Tensor, stride: number, early: boolean): Tensor {
  const narrow = relu(convolved(scope.child(0), x, { stride: early ? stride : 1 }));
  const h = relu(convolved(scope.child(1), narrow, { stride: early ? 1 : stride, padding: 1 }));
  return convolved(scope.child(2), h, {});
}

/** Paths of a block's convolutions; the first block of a stage may have one more, beside the others, which is left out. */
function convolutions(stage: number, block: number, { bottleneck }: ResNetConfig): string[] {
  return Array.from(
    { length: bottleneck ? 3 : 2 },
    (_, i) => `resnet.encoder.stages.${stage}.layers.${block}.layer.${i}.convolution`,
  );
}
