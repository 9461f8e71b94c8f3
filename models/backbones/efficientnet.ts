import { mean, nchwToNhwc, relu6, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import { batchNorm } from './batchNorm.ts';
import { readNumber, requireOption } from './readConfig.ts';

export interface EfficientNetConfig {
  /** Blocks of each of the seven stages. */
  stages: number[];
  batchNormEps: number;
  features: number;
  imageSize: number;
}

/** What each Lite size multiplies the depth of stages 1 to 5 by. */
const DEPTH = [1, 1.1, 1.2, 1.4, 1.8];
const BLOCKS = [1, 2, 2, 3, 3, 4, 1];
const STRIDES = [1, 2, 2, 2, 1, 2, 1];
const NATIVE_SIDE = [224, 240, 260, 300, 380];
const ARCHITECTURE = /^tf_efficientnet_lite([0-4])$/;

/**
 * EfficientNet-Lite (Tan & Le, 2019, arxiv.org/abs/1905.11946, without squeeze-and-excitation and with ReLU6), under
 * timm's names. Widths and kernel sizes are the weights' own.
 */
export const efficientnet: Backbone<EfficientNetConfig> = {
  family: 'timm',
  title: 'EfficientNet-Lite',
  accepts: (config) => ARCHITECTURE.test(String(config.architecture)),

  configure(config: JsonObject) {
    const match = ARCHITECTURE.exec(String(config.architecture));
    if (!match)
      throw new ConfigError(
        `'${config.architecture}' is not one of tf_efficientnet_lite0 to tf_efficientnet_lite4.`,
      );
    requireOption(config, 'num_channels', 3);
    requireOption(config, 'hidden_act', 'relu6');
    requireOption(config, 'padding', 'same');
    const size = Number(match[1]);
    const lastStage = BLOCKS.length - 1;
    return {
      stages: BLOCKS.map((n, s) => (s === 0 || s === lastStage ? n : Math.ceil(n * DEPTH[size]))),
      batchNormEps: readNumber(config, 'batch_norm_eps', 1e-3),
      features: readNumber(config, 'num_features', 1280),
      imageSize: readNumber(config, 'image_size', NATIVE_SIDE[size]),
    };
  },

  basePrefix: '',

  modality: 'image',
  inputs: (_, side) => pictureInput(side),
  diskName: (path) => path,

  forward(root, { pixels }, { stages, batchNormEps: eps }) {
    const stem = root.conv2d(nchwToNhwc(pixels), 'conv_stem', { stride: 2, padding: 'same' });
    let x = relu6(batchNorm(root.child('bn1'), stem, eps));
    for (const [s, count] of stages.entries())
      for (let b = 0; b < count; b++) {
        const stride = b === 0 ? STRIDES[s] : 1;
        const stage = root.child('blocks').child(s);
        const scope = stage.child(b);
        const from = x;
        const body = () => (s === 0 ? separable : inverted)(scope, from, stride, eps);
        // The input is added where the block keeps its shape: from its second layer on.
        x = b > 0 ? stage.residual(from, `${b}`, 'conv', body) : body();
      }
    const last = relu6(batchNorm(root.child('bn2'), root.conv2d(x, 'conv_head'), eps));
    return { features: mean(last, [1, 2]), last };
  },

  featureSize: (config) => config.features,
  blocks: ({ stages }) => stages.reduce((a, b) => a + b, 0),
  blockOf(path, { stages }) {
    const match = /^blocks\.(\d+)\.(\d+)\./.exec(path);
    const before = (stage: number) => stages.slice(0, stage).reduce((a, b) => a + b, 0);
    if (match) return before(Number(match[1])) + Number(match[2]);
    return path.startsWith('conv_stem') ? -1 : before(stages.length);
  },
  head: () => linearHead('classifier'),
  taskClass: 'timm',

  presets(config) {
    return [
      { id: 'late-pointwise', label: '1×1 convolutions of stages 5 and 6', targets: pointwise(config, 5) },
      { id: 'last-pointwise', label: '1×1 convolutions of stage 6', targets: pointwise(config, 6) },
      { id: 'all-pointwise', label: 'All 1×1 convolutions', targets: pointwise(config, 0) },
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

/** Paths of the 1×1 convolutions from a stage on, the head's with them. */
function pointwise({ stages }: EfficientNetConfig, from: number): string[] {
  const inBlocks = stages.flatMap((count, s) =>
    Array.from({ length: s < from ? 0 : count }, (_, b) => [
      `blocks.${s}.${b}.conv_pw`,
      ...(s === 0 ? [] : [`blocks.${s}.${b}.conv_pwl`]),
    ]).flat(),
  );
  return [...inBlocks, 'conv_head'];
}

/** The first stage's block: depthwise, then a 1×1 projection. */
function separable(scope: Scope, x: Tensor, stride: number, eps: number): Tensor {
  const h = relu6(batchNorm(scope.child('bn1'), depthwise(scope, x, stride), eps));
  return batchNorm(scope.child('bn2'), scope.conv2d(h, 'conv_pw'), eps);
}

/** 1×1 expansion, depthwise, 1×1 projection. */
function inverted(scope: Scope, x: Tensor, stride: number, eps: number): Tensor {
  const wide = relu6(batchNorm(scope.child('bn1'), scope.conv2d(x, 'conv_pw'), eps));
  const h = relu6(batchNorm(scope.child('bn2'), depthwise(scope, wide, stride), eps));
  return batchNorm(scope.child('bn3'), scope.conv2d(h, 'conv_pwl'), eps);
}

function depthwise(scope: Scope, x: Tensor, stride: number): Tensor {
  return scope.conv2d(x, 'conv_dw', { stride, padding: 'same', groups: x.shape[3] });
}
