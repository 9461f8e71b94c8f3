import { expect, test } from 'vitest';
import { modelIn } from '../backbones/testing.ts';
import { lora } from './lora.ts';

const settings = {
  r: 4,
  lora_alpha: 8,
  use_rslora: false,
  scale: 1,
  lora_dropout: 0,
  target_modules: ['q_proj'],
};

test('the rank-stabilised scale divides alpha by the root of the rank, and leaves folded', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const scalesOf = (given: typeof settings) => {
    const attachment = lora.attach(model, given);
    const tensors = new Map(
      attachment.parameters.map((p) => [p.name, { shape: p.shape, data: new Float32Array() }]),
    );
    return lora.toLowRank!(attachment, given, tensors).map((u) => u.scale);
  };
  expect(new Set(scalesOf(settings))).toEqual(new Set([2]));
  expect(new Set(scalesOf({ ...settings, use_rslora: true }))).toEqual(new Set([4]));
  expect(new Set(scalesOf({ ...settings, use_rslora: true, r: 64 }))).toEqual(new Set([1]));
});
