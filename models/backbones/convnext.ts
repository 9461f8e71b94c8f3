import {
  add,
  div,
  maximum,
  mean,
  mul,
  nchwToNhwc,
  reduceSum,
  sqrt,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import {
  type Activation,
  readActivation,
  readNumber,
  readNumbers,
  readPair,
  requireOption,
} from './readConfig.ts';

export interface ConvNextConfig {
  depths: number[];
  widths: number[];
  patch: number;
  imageSize: number;
  /** Of the norm before the head. */
  eps: number;
  activation: Activation;
}

/** Of the norms that the configuration does not reach. */
const BLOCK_EPS = 1e-6;

/** ConvNeXt (Liu et al., 2022, arxiv.org/abs/2201.03545) as transformers' `ConvNextForImageClassification` computes it. */
export const convnext = family('convnext', 'ConvNeXt', 'ConvNextForImageClassification');

/** ConvNeXt V2 (Woo et al., 2023, arxiv.org/abs/2301.00808): global response normalisation in place of the layer scale. */
export const convnextV2 = family('convnextv2', 'ConvNeXt V2', 'ConvNextV2ForImageClassification');

function family(name: string, title: string, taskClass: string): Backbone<ConvNextConfig> {
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  return {
    family: name,
    title,
    accepts: (config) => config.model_type === name,
    configure,
    basePrefix: `${name}.`,
    diskName: (path) => path,
    modality: 'image',
    inputs: (_, side) => pictureInput(side),

    forward(root, { pixels }, { depths, patch, eps, activation }) {
      const scope = root.child(name);
      const stem = scope.child('embeddings');
      const patches = stem.conv2d(nchwToNhwc(pixels), 'patch_embeddings', { stride: patch });
      let x = stem.layerNorm(patches, 'layernorm', BLOCK_EPS);
      for (const [s, depth] of depths.entries()) {
        const stage = scope.child('encoder').child('stages').child(s);
        if (s > 0) {
          const normed = stage.child('downsampling_layer').layerNorm(x, '0', BLOCK_EPS);
          x = stage.child('downsampling_layer').conv2d(normed, '1', { stride: 2 });
        }
        for (let b = 0; b < depth; b++) {
          const from = x;
          const layers = stage.child('layers');
          x = layers.residual(from, `${b}`, 'conv', () => layer(layers.child(b), from, activation));
        }
      }
      return { features: scope.layerNorm(mean(x, [1, 2]), 'layernorm', eps), last: x };
    },

    featureSize: ({ widths }) => widths.at(-1)!,
    blocks: ({ depths }) => sum(depths),
    blockOf(path, { depths }) {
      const match = /\.stages\.(\d+)\.(?:layers\.(\d+)|downsampling_layer)\./.exec(path);
      if (!match) return path.includes('.embeddings.') ? -1 : sum(depths);
      return sum(depths.slice(0, Number(match[1]))) + Number(match[2] ?? 0);
    },
    head: () => linearHead('classifier'),
    taskClass,
    presets({ depths }) {
      const last = depths.length - 1;
      const layers = Array.from(
        { length: depths[last] },
        (_, b) => `${name}.encoder.stages.${last}.layers.${b}`,
      );
      return [
        { id: 'pointwise', label: 'Both linear layers of every block', targets: ['pwconv1', 'pwconv2'] },
        {
          id: 'last-stage',
          label: 'Linear layers of the last stage',
          targets: layers.flatMap((path) => [`${path}.pwconv1`, `${path}.pwconv2`]),
        },
      ];
    },
    size({ imageSize, patch, depths }) {
      const least = patch * 2 ** (depths.length - 1);
      return { default: imageSize, min: least, max: Math.max(imageSize, 384), multiple: patch, unit: 'px' };
    },
    defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
  };
}

function configure(config: JsonObject): ConvNextConfig {
  requireOption(config, 'num_channels', 3);
  const depths = readNumbers(config, 'depths', [3, 3, 9, 3]);
  const widths = readNumbers(config, 'hidden_sizes', [96, 192, 384, 768]);
  requireOption(config, 'num_stages', depths.length);
  if (widths.length !== depths.length)
    throw new ConfigError(
      `config.json has ${depths.length} depths and ${widths.length} hidden_sizes; each stage needs one of both.`,
    );
  const [patch, patchWidth] = readPair(config, 'patch_size', 4);
  if (patch !== patchWidth)
    throw new ConfigError(
      `config.json has patch_size ${patch} × ${patchWidth}; only square patches are supported.`,
    );
  return {
    depths,
    widths,
    patch,
    imageSize: readPair(config, 'image_size', 224)[0],
    eps: readNumber(config, 'layer_norm_eps', 1e-12),
    activation: readActivation(config, 'hidden_act', 'gelu'),
  };
}

/** 7×7 depthwise, norm, and a perceptron a place. */
function layer(scope: Scope, x: Tensor, activation: Activation): Tensor {
  const wide = scope.conv2d(x, 'dwconv', { padding: 3, groups: x.shape[3] });
  const normed = scope.layerNorm(wide, 'layernorm', BLOCK_EPS);
  const inner = activation(scope.linear(normed, 'pwconv1'));
  const y = scope.linear(
    scope.has('grn.weight') ? responseNorm(scope.child('grn'), inner) : inner,
    'pwconv2',
  );
  return scope.has('layer_scale_parameter') ? mul(y, scope.weight('layer_scale_parameter')) : y;
}

/** Each channel by its length over all places, relative to the mean length of all channels (eq. 1 to 3). */
function responseNorm(scope: Scope, x: Tensor): Tensor {
  // A channel of zeros would have no gradient: its length is a root at zero.
  const length = sqrt(maximum(reduceSum(mul(x, x), [1, 2], true), 1e-30));
  const share = div(length, add(mean(length, [3], true), 1e-6));
  return add(add(mul(mul(x, share), scope.weight('weight')), scope.weight('bias')), x);
}
