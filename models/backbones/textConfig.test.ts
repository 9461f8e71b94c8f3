import { describe, expect, test } from 'vitest';
import { input } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { Model } from '../model.ts';
import { ConfigError } from './backbone.ts';
import { backboneFor } from './index.ts';
import { locate } from './names.ts';
import { readRope } from './rope.ts';
import { bucketOf } from './t5.ts';
import { modelIn } from './testing.ts';

const configured = (config: JsonObject) => backboneFor(config).configure(config);

describe('options that are not served are refused by name', () => {
  test.each<[JsonObject, RegExp]>([
    [{ model_type: 'bert', position_embedding_type: 'relative_key' }, /position_embedding_type/],
    [{ model_type: 'bert', is_decoder: true }, /is_decoder/],
    [{ model_type: 'bert', hidden_act: 'mish' }, /hidden_act = "mish"/],
    [{ model_type: 'roberta', add_cross_attention: true }, /add_cross_attention/],
    [{ model_type: 'roberta', hidden_size: 30, num_attention_heads: 4 }, /4 attention heads/],
    [{ model_type: 'roberta', pad_token_id: 'x' }, /pad_token_id/],
    [{ model_type: 'distilbert', activation: 'tanhish' }, /activation = "tanhish"/],
    [{ model_type: 'gpt2', add_cross_attention: true }, /add_cross_attention/],
    [{ model_type: 'llama', rope_scaling: { type: 'longrope' } }, /'longrope'.*llama3/],
    [{ model_type: 'llama', partial_rotary_factor: 0.5 }, /partial_rotary_factor = 0.5/],
    [{ model_type: 'llama', num_attention_heads: 32, num_key_value_heads: 5 }, /5 of keys/],
    [{ model_type: 'llama', rope_scaling: { rope_type: 'linear' } }, /factor/],
    [{ model_type: 'qwen2', layer_types: ['full_attention', 'linear_attention'] }, /linear_attention/],
    [{ model_type: 't5', is_encoder_decoder: false }, /is_encoder_decoder/],
    [{ model_type: 't5', feed_forward_proj: 'gated-mish' }, /feed_forward_proj = "mish"/],
    [{ model_type: 't5', relative_attention_num_buckets: 10 }, /relative_attention_num_buckets/],
    [{ model_type: 'bart', normalize_before: true }, /normalize_before/],
    [{ model_type: 'bart', decoder_attention_heads: 7 }, /7 attention heads/],
  ])('%j', (config, message) => {
    expect(() => configured(config)).toThrow(ConfigError);
    expect(() => configured(config)).toThrow(message);
  });
});

test.each([
  [{ model_type: 'bert' }, 512],
  [{ model_type: 'roberta', max_position_embeddings: 514 }, 512],
  [{ model_type: 'mistral', sliding_window: 100 }, 100],
  [{ model_type: 'mistral', sliding_window: null, max_position_embeddings: 300 }, 300],
  [{ model_type: 'qwen2', sliding_window: 100, max_position_embeddings: 300 }, 300],
  [{ model_type: 'qwen2', use_sliding_window: true, sliding_window: 100, max_position_embeddings: 300 }, 100],
])('%j reads at most %i tokens', (config, most) => {
  const backbone = backboneFor(config);
  expect(backbone.size(backbone.configure(config)).max).toBe(most);
});

test('a text beyond the longest is refused', async () => {
  const model = await modelIn('tools/reference/fixtures/mistral-tiny');
  expect(() => model.trace(model.inputs(1, 13))).toThrow(/at most 12 tokens, and 13/);
});

test('rotary positions read from transformers 4 and 5 are the same', () => {
  const scaling = {
    factor: 4,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 64,
  };
  const older = readRope({ rope_theta: 500, rope_scaling: { type: 'llama3', ...scaling } }, 6);
  const newer = readRope({ rope_parameters: { rope_type: 'llama3', rope_theta: 500, ...scaling } }, 6);
  expect(newer).toEqual(older);
  expect(older.frequencies[0]).toBe(1);
  expect(older.frequencies[2]).toBeCloseTo(500 ** (-4 / 6) / 4, 6);
  const dynamic = readRope({ rope_scaling: { type: 'dynamic', factor: 2 } }, 6);
  expect(dynamic).toEqual(readRope({}, 6));
});

test('distances fall into the buckets that PyTorch gives them', () => {
  const distances = [-600, -128, -64, -32, -16, -8, -7, -1, 0, 1, 7, 8, 15, 16, 31, 32, 64, 127, 128, 600];
  const both = [15, 15, 14, 12, 10, 8, 7, 1, 0, 17, 23, 24, 25, 26, 27, 28, 30, 31, 31, 31];
  const back = [31, 31, 26, 21, 16, 8, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  expect(distances.map((d) => bucketOf(d, true, 32, 128))).toEqual(both);
  expect(distances.map((d) => bucketOf(d, false, 32, 128))).toEqual(back);
});

describe('names in files', () => {
  test.each([
    ['bert', 'bert.embeddings.LayerNorm.weight', 'embeddings.LayerNorm.gamma'],
    ['roberta', 'roberta.encoder.layer.0.output.dense.bias', 'encoder.layer.0.output.dense.bias'],
    ['gpt2', 'transformer.h.0.attn.c_attn.weight', 'h.0.attn.c_attn.weight'],
    ['llama', 'model.layers.0.mlp.up_proj.weight', 'layers.0.mlp.up_proj.weight'],
    ['t5', 'transformer.decoder.final_layer_norm.weight', 'decoder.final_layer_norm.weight'],
    ['t5', 'transformer.shared.weight', 'encoder.embed_tokens.weight'],
    ['bart', 'model.shared.weight', 'model.encoder.embed_tokens.weight'],
  ])('%s: %s is found as %s', (model_type, path, name) => {
    const backbone = backboneFor({ model_type });
    expect(locate(new Set([name]), backbone, path)?.name).toBe(name);
    expect(locate(new Set([path]), backbone, path)?.name).toBe(path);
  });

  test.each(['bert-tiny', 'gpt2-odd-tiny', 'llama-tiny', 't5-tiny', 'bart-tiny'])(
    'every tensor of %s is read, heads apart',
    async (fixture) => {
      const model = await modelIn(`tools/reference/fixtures/${fixture}`);
      const read = new Set(
        model.parameters.map(({ path }) => locate(model.checkpoint, model.backbone, path)!.name),
      );
      const unread = model.checkpoint.names().filter((name) => !read.has(name));
      const heads = /^(classifier|classification_head|score|cls|lm_head|final_logits_bias)\b/;
      expect(unread.filter((name) => !heads.test(name))).toEqual([]);
    },
  );
});

test('a checkpoint without a pooler has no features to classify by, but is read', async () => {
  const whole = await modelIn('tools/reference/fixtures/bert-tiny');
  const bare = Object.create(whole.checkpoint, {
    has: { value: (name: string) => !name.includes('pooler') && whole.checkpoint.has(name) },
    info: { value: (name: string) => whole.checkpoint.info(name) },
  });
  const model = new Model(whole.backbone, whole.config, bare);
  expect(model.modules.some((m) => m.path.includes('pooler'))).toBe(false);
  const output = model.trace(model.inputs(1, 4));
  expect(output.last.shape).toEqual([1, 4, 24]);
  expect(() => output.features).toThrow(/pooler/);
});

test.each([
  ['bert-tiny', [-1, 0, 1, 2]],
  ['gpt2-tiny', [-1, 0, 1, 2]],
  ['llama-tiny', [-1, 0, 1, 2]],
  ['t5-odd-tiny', [-1, 0, 1, 2, 3]],
  ['bart-odd-tiny', [-1, 0, 1, 2]],
])('parameters of %s lie before, in and after its blocks', async (fixture, blocks) => {
  const model = await modelIn(`tools/reference/fixtures/${fixture}`);
  const found = [...new Set(model.parameters.map((p) => p.block))].sort((a, b) => a - b);
  expect(found).toEqual(blocks);
  for (const kind of ['attention', 'mlp']) expect(model.branches.some((b) => b.kind === kind)).toBe(true);
  expect(model.attentions.length).toBeGreaterThan(0);
  expect(model.norms.length).toBeGreaterThan(1);
  for (const preset of model.backbone.presets(model.config))
    for (const target of preset.targets)
      if (target !== 'all-linear')
        expect(
          model.modules.some((m) => m.path === target || m.path.endsWith(`.${target}`)),
          target,
        ).toBe(true);
});

test('learnt tokens are seen by all and leave the words where they were', async () => {
  const learnt = 3;
  for (const fixture of ['bert-tiny', 'roberta-tiny', 'gpt2-tiny', 'llama-tiny', 't5-tiny', 'bart-tiny']) {
    const model = await modelIn(`tools/reference/fixtures/${fixture}`);
    const output = model.trace(model.inputs(2, 5), [
      {
        tokens: (x, ahead) => {
          expect(ahead).toBe(0);
          return input('more', [x.shape[0], x.shape[1] + learnt, x.shape[2]]);
        },
      },
    ]);
    expect(output.last.shape.slice(0, 2)).toEqual([2, 5]);
    expect(output.features.shape).toEqual([2, 24]);
  }
});
