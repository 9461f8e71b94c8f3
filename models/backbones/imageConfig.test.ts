import { describe, expect, test } from 'vitest';
import { MethodError } from '../methods/method.ts';
import { promptTuning } from '../methods/promptTuning.ts';
import { resolveTargets } from '../methods/targets.ts';
import { clip } from './clip.ts';
import { clipText } from './clipText.ts';
import { convnext } from './convnext.ts';
import { efficientnetHf } from './efficientnetHf.ts';
import { imageFixtures } from './imageFixtures.ts';
import { backboneFor } from './index.ts';
import { mobilenetV2 } from './mobilenetV2.ts';
import { mobileSam } from './mobileSam.ts';
import { locate } from './names.ts';
import { resnet } from './resnet.ts';
import { swin } from './swin.ts';
import { frozenNames, modelIn } from './testing.ts';
import { tinyVit } from './tinyVit.ts';

/** What a model reads beyond its features: heads, other towers, counters of training. */
const LEFT =
  /^(classifier|cls_classifier|distillation_classifier|head|image_encoder\.(norm_)?head|text_model|vision_model\.(head|post_layernorm)|(visual|text)_projection|logit_(scale|bias))\b|num_batches_tracked$/;

describe.each(imageFixtures)('%s', (name) => {
  test('is surveyed: every tensor read, every preset found, every module in a block', async () => {
    const model = await modelIn(`tools/reference/fixtures/${name}`);
    const { backbone, config, checkpoint, modules, blocks } = model;
    const read = new Set(frozenNames(model).map((path) => locate(checkpoint, backbone, path)!.name));
    const unread = checkpoint.names().filter((n) => !read.has(n));
    expect(unread.filter((n) => !LEFT.test(n) && !(backbone === clipText && n.startsWith('vision')))).toEqual(
      [],
    );
    for (const { targets } of backbone.presets(config))
      expect(resolveTargets(modules, targets).every((m) => !m.grouped)).toBe(true);
    const drawn = new Set(modules.map((m) => m.block));
    expect([...drawn].every((b) => b >= -1 && b <= blocks)).toBe(true);
    expect(Array.from({ length: blocks }, (_, b) => drawn.has(b))).not.toContain(false);
    expect(model.lastShape.at(-1)).toBeGreaterThan(0);
  });
});

test.each([
  [swin, { depths: [2, 2], num_heads: [3] }, /2 depths and 1 num_heads/],
  [swin, { embed_dim: 10 }, /embed_dim 10.*3 attention heads/],
  [swin, { image_size: [32, 64] }, /image_size 32 × 64.*squares/],
  [swin, { hidden_act: 'mish' }, /hidden_act = "mish"/],
  [resnet, { layer_type: 'wide' }, /layer_type = "wide".*"basic"/],
  [resnet, { num_channels: 1 }, /num_channels = 1/],
  [convnext, { num_stages: 3 }, /num_stages = 3; only 4/],
  [convnext, { hidden_sizes: 'none' }, /hidden_sizes = "none".*list/],
  [mobilenetV2, { output_stride: 4 }, /output_stride = 4.*8, 16 and 32/],
  [efficientnetHf, { pooling_type: 'sum' }, /pooling_type = "sum"/],
  [efficientnetHf, { strides: [1] }, /7 num_block_repeats and 1 strides/],
  [clip, { model_type: 'clip', vision_config: { num_channels: 4 } }, /num_channels = 4/],
  [clip, { model_type: 'clip', vision_config: 7 }, /vision_config = 7.*object/],
  [clipText, { model_type: 'clip', text_config: { num_attention_heads: 7 } }, /7 attention heads/],
  [tinyVit, { architecture: 'tiny_vit_5m_224', model_args: { global_pool: 'max' } }, /global_pool = "max"/],
  [tinyVit, { architecture: 'tiny_vit_5m_224', model_args: { depths: [1] } }, /1 depths, but 4 widths/],
  [mobileSam, { model_args: { in_chans: 1 } }, /in_chans = 1/],
])('an option that is not served is refused by name', (backbone, config, message) => {
  expect(() => backbone.configure(config)).toThrow(message);
});

test('configurations of published sizes are understood as their libraries do', () => {
  expect(swin.size(swin.configure({}))).toMatchObject({ default: 224, min: 196, multiple: 4 });
  const half = mobilenetV2.configure({ depth_multiplier: 0.35, depth_divisible_by: 8 });
  expect([half.features, half.blocks.filter((b) => b.residual).length]).toEqual([1280, 10]);
  expect(mobilenetV2.configure({ depth_multiplier: 1.4 }).features).toBe(1792);
  const b7 = efficientnetHf.configure({});
  expect([b7.blocks.length, b7.features]).toEqual([55, 2560]);
  expect(tinyVit.configure({ architecture: 'tiny_vit_21m_384.dist_in22k_ft_in1k' })).toMatchObject({
    widths: [96, 192, 384, 576],
    heads: [3, 6, 12, 18],
    windows: [12, 12, 24, 12],
    imageSize: 384,
  });
  // Older files give a tower's options a second time, which then hold.
  const old = {
    model_type: 'clip',
    vision_config: { patch_size: 32 },
    vision_config_dict: { patch_size: 16 },
  };
  expect(clip.configure(old).patch).toEqual([16, 16]);
  expect(backboneFor({ model_type: 'clip_text_model' })).toBe(clipText);
});

test('a picture with too small a map for a window, and learnt tokens in windows, are refused', async () => {
  const model = await modelIn('tools/reference/fixtures/swin-tiny');
  expect(() => model.trace(model.inputs(1, 12))).toThrow(/stage 1 has 3 × 3 places.*at least 14 px/);
  expect(() => promptTuning.attach(model, { num_virtual_tokens: 2 })).toThrow(MethodError);
});
