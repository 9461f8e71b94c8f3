import { mean, nchwToNhwc, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { type Backbone, ConfigError, linearHead, pictureInput } from './backbone.ts';
import { readNumber, readObject, requireOption } from './readConfig.ts';
import {
  attentionBlock,
  blocksBefore,
  convolutionBlock,
  convolvedBy,
  downsample,
  EPS,
  patchEmbedding,
  readTinyVit,
  type TinyVitConfig,
} from './tinyVitParts.ts';

const ARCHITECTURE = /^tiny_vit_(5m|11m|21m)_(224|384|512)/;
const WIDTHS: Record<string, number[]> = {
  '5m': [64, 128, 160, 320],
  '11m': [64, 128, 256, 448],
  '21m': [96, 192, 384, 576],
};
const WINDOWS: Record<string, number[]> = {
  224: [7, 7, 14, 7],
  384: [12, 12, 24, 12],
  512: [16, 16, 32, 16],
};

/**
 * TinyViT (Wu et al., 2022, arxiv.org/abs/2207.10666) under timm's names; files with its authors' names, which MobileSAM
 * has too, are read as well.
 */
export const tinyVit: Backbone<TinyVitConfig> = {
  family: 'timm',
  title: 'TinyViT',
  accepts: (config) => ARCHITECTURE.test(String(config.architecture)),
  configure,
  basePrefix: '',
  diskName: (path) =>
    path
      .replace('patch_embed.conv1.', 'patch_embed.seq.0.')
      .replace('patch_embed.conv2.', 'patch_embed.seq.2.')
      .replace(/^stages\.(\d+)\.downsample/, (_, stage) => `layers.${Number(stage) - 1}.downsample`)
      .replace(/^stages\./, 'layers.')
      .replace(/\.conv(?=\.|$)/, '.c')
      .replace(/^head\.norm/, 'norm_head')
      .replace(/^head\.fc/, 'head'),
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, { depths, heads, windows, local }) {
    const conv = convolvedBy('conv');
    const stem = root.child('patch_embed');
    let x: Tensor = patchEmbedding(stem.child('conv1'), stem.child('conv2'), nchwToNhwc(pixels), conv);
    for (const [s, depth] of depths.entries()) {
      const stage = root.child('stages').child(s);
      if (s > 0) x = downsample(stage.child('downsample'), x, 2, conv);
      const blocks = stage.child('blocks');
      for (let b = 0; b < depth; b++)
        x =
          s === 0
            ? convolutionBlock(blocks, b, x, conv)
            : attentionBlock(blocks.child(b), x, { heads: heads[s], window: windows[s], local, conv });
    }
    return { features: root.child('head').layerNorm(mean(x, [1, 2]), 'norm', EPS), last: x };
  },

  featureSize: ({ widths }) => widths.at(-1)!,
  blocks: ({ depths }) => blocksBefore(depths, depths.length),
  blockOf(path, { depths }) {
    const match = /^stages\.(\d+)\.(?:blocks\.(\d+)|downsample)\./.exec(path);
    if (match) return blocksBefore(depths, Number(match[1])) + Number(match[2] ?? 0);
    return path.startsWith('patch_embed.') ? -1 : blocksBefore(depths, depths.length);
  },
  head: () => linearHead('head.fc'),
  taskClass: 'timm',
  presets({ depths }) {
    const last = depths.length - 1;
    const inLast = Array.from({ length: depths[last] }, (_, b) => `stages.${last}.blocks.${b}`);
    return [
      { id: 'attention', label: 'Attention', targets: ['attn.qkv', 'attn.proj'] },
      { id: 'all-linear', label: 'All linear layers', targets: ['all-linear'] },
      {
        id: 'last-stage',
        label: 'All linear layers of the last stage',
        targets: inLast.flatMap((path) =>
          ['attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2'].map((name) => `${path}.${name}`),
        ),
      },
    ];
  },
  size: ({ imageSize }) => ({
    default: imageSize,
    min: 32,
    max: Math.max(imageSize, 512),
    multiple: 32,
    unit: 'px',
  }),
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function configure(config: JsonObject): TinyVitConfig {
  const match = ARCHITECTURE.exec(String(config.architecture));
  if (!match)
    throw new ConfigError(
      `'${config.architecture}' is not one of tiny_vit_5m, _11m and _21m of 224, 384 or 512 px.`,
    );
  const args = readObject(config, 'model_args');
  requireOption(args, 'in_chans', 3);
  requireOption(args, 'global_pool', 'avg');
  const [, size, side] = match;
  const sizes = {
    widths: WIDTHS[size],
    depths: [2, 2, 6, 2],
    heads: WIDTHS[size].map((n) => n / 32),
    windows: WINDOWS[side],
  };
  return readTinyVit(args, sizes, readNumber(config, 'image_size', Number(side)));
}
