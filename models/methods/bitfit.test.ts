import { beforeAll, expect, test } from 'vitest';
import { close } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../backbones/testing.ts';
import type { Model } from '../model.ts';
import { bitfit } from './bitfit.ts';
import type { Base } from './method.ts';
import { noBase, startValue } from './start.ts';

let model: Model;
let base: Base;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
  base = { ...noBase, weight: (path) => model.f32(path) };
});

const names = (which: string, last = 0) =>
  bitfit.attach(model, { which, last_blocks: last, scale: 1 }).targets;

test('biases are those of layers and those of norms, and nothing else', () => {
  const [all, layers, norms] = ['all', 'layers', 'norms'].map((which) => names(which));
  expect(all.every((path) => path.endsWith('.bias'))).toBe(true);
  expect([...layers, ...norms].sort()).toEqual([...all].sort());
  expect(norms).toHaveLength(2 * model.blocks + 1);
  expect(names('norms', 1)).toHaveLength(3);
});

test('PEFT’s file holds every bias, the frozen ones too, and comes back as it was', async () => {
  const settings = { which: 'norms', last_blocks: 1, scale: 0.5 };
  const attachment = bitfit.attach(model, settings);
  const tensors = new Map(
    await Promise.all(
      attachment.parameters.map(
        async (p) =>
          [p.name, { shape: p.shape, data: (await startValue(p, 1, base)).map((x) => x + 2) }] as const,
      ),
    ),
  );
  const content = await bitfit.peft!.write(attachment, settings, tensors, base);
  const { settings: back, tensors: found } = bitfit.peft!.read(content, model);
  const again = bitfit.attach(model, back);
  expect([...found.keys()].sort()).toEqual(again.parameters.map((p) => p.name).sort());
  const [moved] = attachment.targets;
  const frozen = await base.weight(moved);
  const expected = frozen.map((x) => x + 1);
  close(found.get(moved.replace(/bias$/, 'bitfit_bias'))!.data, expected, 1e-6);
  const still = names('layers')[0];
  expect(found.get(still.replace(/bias$/, 'bitfit_bias'))!.data).toEqual(await base.weight(still));
});

test('a LoRA that trains biases beside its factors is not taken for BitFit', async () => {
  const tensors = new Map([
    ['vit.layers.0.attention.q_proj.lora_B.weight', { shape: [32, 1], data: new Float32Array(32).fill(1) }],
  ]);
  expect(() => bitfit.peft!.read({ config: { bias: 'all' }, tensors }, model)).toThrow('beside a LoRA');
});
