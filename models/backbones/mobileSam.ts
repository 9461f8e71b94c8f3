import { mean, nchwToNhwc, type Tensor } from '../../gpu-shaders/index.ts';
import { type Backbone, linearHead, pictureInput } from './backbone.ts';
import { readNumber, readObject, requireOption } from './readConfig.ts';
import {
  attentionBlock,
  blocksBefore,
  convolutionBlock,
  convolvedBy,
  downsample,
  patchEmbedding,
  readTinyVit,
  type TinyVitConfig,
} from './tinyVitParts.ts';

export interface MobileSamConfig extends TinyVitConfig {
  /** Features of a place of what the encoder gives. */
  neck: number;
}

/** Of the neck's norms, as SAM has it. */
const NECK_EPS = 1e-6;

/**
 * The picture encoder of MobileSAM (Zhang et al., 2023, arxiv.org/abs/2306.14289) under the names of its checkpoint: a
 * TinyViT whose last stage keeps the map's size, and SAM's neck. Features are the mean of the neck's map. A folder says
 * `"architecture": "mobile_sam_vit_t"` in its config.json; the checkpoint itself brings none.
 */
export const mobileSam: Backbone<MobileSamConfig> = {
  family: 'mobile_sam',
  title: 'MobileSAM encoder',
  accepts: (config) => config.architecture === 'mobile_sam_vit_t',
  configure(config) {
    const args = readObject(config, 'model_args');
    requireOption(args, 'in_chans', 3);
    const sizes = {
      widths: [64, 128, 160, 320],
      depths: [2, 2, 6, 2],
      heads: [2, 4, 5, 10],
      windows: [7, 7, 14, 7],
    };
    const imageSize = readNumber(config, 'image_size', 1024);
    return { ...readTinyVit(args, sizes, imageSize), neck: readNumber(args, 'neck', 256) };
  },
  basePrefix: 'image_encoder.',
  diskName: (path) => path,
  modality: 'image',
  inputs: (_, side) => pictureInput(side),

  forward(root, { pixels }, { depths, heads, windows, local }) {
    const scope = root.child('image_encoder');
    const conv = convolvedBy('c');
    const stem = scope.child('patch_embed').child('seq');
    let x: Tensor = patchEmbedding(stem.child(0), stem.child(2), nchwToNhwc(pixels), conv);
    const last = depths.length - 1;
    for (const [s, depth] of depths.entries()) {
      const stage = scope.child('layers').child(s);
      const blocks = stage.child('blocks');
      for (let b = 0; b < depth; b++)
        x =
          s === 0
            ? convolutionBlock(blocks, b, x, conv)
            : attentionBlock(blocks.child(b), x, { heads: heads[s], window: windows[s], local, conv });
      if (s < last) x = downsample(stage.child('downsample'), x, s === last - 1 ? 1 : 2, conv);
    }
    const neck = scope.child('neck');
    const narrow = neck.layerNorm(neck.conv2d(x, '0'), '1', NECK_EPS);
    const map = neck.layerNorm(neck.conv2d(narrow, '2', { padding: 1 }), '3', NECK_EPS);
    return { features: mean(map, [1, 2]), last: map };
  },

  featureSize: (config) => config.neck,
  blocks: ({ depths }) => blocksBefore(depths, depths.length),
  blockOf(path, { depths }) {
    const match = /\.layers\.(\d+)\.(?:blocks\.(\d+)|downsample)\./.exec(path);
    if (!match) return path.includes('.patch_embed.') ? -1 : blocksBefore(depths, depths.length);
    const stage = Number(match[1]);
    // What makes the map smaller ends its stage.
    return blocksBefore(depths, stage) + Number(match[2] ?? depths[stage] - 1);
  },
  // SAM has no classes: the head is the studio's own, beside the encoder.
  head: () => linearHead('classifier'),
  taskClass: 'mobile_sam',
  presets: () => [
    { id: 'attention', label: 'Attention', targets: ['attn.qkv', 'attn.proj'] },
    { id: 'all-linear', label: 'All linear layers', targets: ['all-linear'] },
    { id: 'neck', label: 'The neck', targets: ['neck.0', 'neck.2'] },
  ],
  size: ({ imageSize }) => ({
    default: Math.min(imageSize, 256),
    min: 32,
    max: Math.max(imageSize, 1024),
    multiple: 16,
    unit: 'px',
  }),
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};
