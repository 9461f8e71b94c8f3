import { expect, test } from 'vitest';
import { ConfigError } from './backbone.ts';
import { dinov2 } from './dinov2.ts';
import { backboneFor } from './index.ts';
import { locate } from './names.ts';
import { frozenNames, modelIn } from './testing.ts';
import { vit } from './vit.ts';

const query = 'vit.layers.3.attention.q_proj.weight';
const gate = 'dinov2.encoder.layer.0.mlp.up_proj.bias';

test.each([
  [
    'saved by transformers 4 and 5',
    vit,
    query,
    'vit.encoder.layer.3.attention.attention.query.weight',
    undefined,
  ],
  ['under run-time names', vit, query, query, undefined],
  ['of the bare model', vit, query, 'encoder.layer.3.attention.attention.query.weight', undefined],
  ['bare, under run-time names', vit, query, 'layers.3.attention.q_proj.weight', undefined],
  ['with both halves in one', dinov2, gate, 'dinov2.encoder.layer.0.mlp.weights_in.bias', { part: 1, of: 2 }],
  ['with the halves apart', dinov2, gate, gate, undefined],
])('a parameter is found in a file %s', (_, backbone, path, name, part) => {
  expect(locate(new Set([name]), backbone, path)).toEqual({ name, part });
  expect(locate(new Set(['other']), backbone, path)).toBeUndefined();
});

test.each([
  ['tools/reference/fixtures/vit-tiny', ['classifier.bias', 'classifier.weight']],
  [
    'tools/reference/fixtures/dinov2-tiny',
    ['classifier.bias', 'classifier.weight', 'dinov2.embeddings.mask_token'],
  ],
  ['models/weights/efficientnet-lite0', []],
])('every tensor of %s is read but the head and the mask', async (folder, unread) => {
  const model = await modelIn(folder);
  const read = new Set(
    frozenNames(model).map((path) => locate(model.checkpoint, model.backbone, path)!.name),
  );
  const names = model.checkpoint.names();
  expect(names.filter((n) => !read.has(n)).sort()).toEqual(unread);
});

test('an unknown model is refused by name, with what is served', () => {
  expect(() => backboneFor({ model_type: 'mamba' })).toThrow(ConfigError);
  expect(() => backboneFor({ model_type: 'mamba' })).toThrow(/'mamba'.*EfficientNet.*\(vit\).*\(dinov2\)/);
  expect(() => backboneFor({})).toThrow(/neither/);
  expect(() => vit.configure({ hidden_act: 'mish' })).toThrow(/hidden_act = "mish".*gelu/);
  expect(() => vit.configure({ hidden_size: 30, num_attention_heads: 4 })).toThrow(/30/);
});
