import { expect, test } from 'vitest';
import { modelIn } from '../backbones/testing.ts';
import { loraScale } from './loraParts.ts';
import { lowRankSpectrum } from './math/lowRank.ts';
import { matrixOf } from './math/matrix.ts';
import { svd } from './math/svd.ts';
import { addProduct } from './merge.ts';
import { pissa } from './pissa.ts';
import { noBase, startValue } from './start.ts';

const settings = {
  r: 4,
  lora_alpha: 12,
  use_rslora: false,
  scale: 1,
  lora_dropout: 0,
  target_modules: ['fc1'],
};

test('starts as the strongest directions of the weight, and as no change at all', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const base = { ...noBase, weight: (path: string) => model.f32(path) };
  const attachment = pissa.attach(model, settings);
  const tensors = new Map(
    await Promise.all(
      [...attachment.parameters, ...attachment.buffers!].map(
        async (p) => [p.name, { shape: p.shape, data: await startValue(p, 1, base) }] as const,
      ),
    ),
  );
  const [path] = attachment.targets;
  const { shape } = model.modules.find((m) => m.path === path)!;
  const w = await model.f32(`${path}.weight`);
  const [a, b] = ['A', 'B'].map((f) => tensors.get(`${path}.lora_${f}.weight`)!);
  const part = lowRankSpectrum(a, b, loraScale(settings));
  const all = svd(matrixOf({ shape, data: w })).values;
  part.forEach((v, i) => {
    expect(v).toBeCloseTo(all[i], 5);
  });
  // What is left of the weight has the other singular values.
  const rest = addProduct(w, { a, b, scale: -loraScale(settings) });
  expect(svd(matrixOf({ shape, data: rest })).values[0]).toBeCloseTo(all[4], 5);

  for (const update of pissa.toLowRank!(attachment, settings, tensors)) {
    expect(update.a.shape[0]).toBe(8);
    const change = addProduct(new Float32Array(w.length), update);
    expect(Math.max(...change.map(Math.abs))).toBeLessThan(1e-6);
  }
});

test('refuses more directions than a layer has', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  expect(() => pissa.attach(model, { ...settings, r: 33 })).toThrow(/32 directions.*at most 32/);
});
