import { expect, test } from 'vitest';
import { modelIn } from '../backbones/testing.ts';
import { lnTuning } from './lnTuning.ts';
import { bareModel } from './testing.ts';

test('trains two vectors a norm, in the blocks asked for, and the last norm', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const names = (last: number) =>
    lnTuning.attach(model, { last_blocks: last, scale: 1 }).parameters.map((p) => p.name);
  expect(names(0)).toHaveLength(2 * (2 * model.blocks + 1));
  expect(names(1)).toHaveLength(2 * 3);
  expect(names(1)).toContain('vit.layernorm.ln_tuning_layers.weight');
  const content = (paths: string[]) => ({
    config: {},
    tensors: new Map(paths.map((name) => [name, { shape: [32], data: new Float32Array(32) }])),
  });
  expect(lnTuning.peft!.read(content(names(0)), model).settings.last_blocks).toBe(0);
  expect(lnTuning.peft!.read(content(names(1)), model).settings.last_blocks).toBe(1);
  expect(() => lnTuning.peft!.read(content(names(0).slice(2)), model)).toThrow('some of the norms');
});

test('a backbone without layer norms is told what else there is', () => {
  expect(() => lnTuning.attach(bareModel, { last_blocks: 0, scale: 1 })).toThrow('BitFit');
});
