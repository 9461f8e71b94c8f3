import { expect, test } from 'vitest';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../backbones/testing.ts';
import { dora } from './dora.ts';
import { noBase, startValue } from './start.ts';

const settings = {
  r: 3,
  lora_alpha: 6,
  use_rslora: false,
  scale: 1,
  lora_dropout: 0,
  target_modules: ['q_proj'],
};

test('rows of the merged weight are as long as their magnitudes and point as LoRA turns them', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const base = { ...noBase, weight: (path: string) => model.f32(path) };
  const attachment = dora.attach(model, settings);
  const tensors = new Map(
    await Promise.all(
      attachment.parameters.map(async (p, i) => {
        const start = await startValue(p, 1, base);
        const data = start.map((x, j) => x + 0.3 * noise(start.length, i + 1)[j]);
        return [p.name, { shape: p.shape, data }] as const;
      }),
    ),
  );
  const [path] = attachment.targets;
  const { a, b, m, w } = {
    a: tensors.get(`${path}.lora_A.weight`)!.data,
    b: tensors.get(`${path}.lora_B.weight`)!.data,
    m: tensors.get(`${path}.lora_magnitude_vector`)!.data,
    w: await model.f32(`${path}.weight`),
  };
  const merged = (await dora.merge!(attachment, settings, tensors, base)).get(`${path}.weight`)!;
  const width = w.length / m.length;
  for (const row of [0, 7, 31]) {
    const turned = Array.from({ length: width }, (_, j) => {
      let sum = w[row * width + j];
      for (let k = 0; k < 3; k++) sum += 2 * b[row * 3 + k] * a[k * width + j];
      return sum;
    });
    const length = Math.hypot(...turned);
    turned.forEach((x, j) => {
      expect(merged[row * width + j]).toBeCloseTo((m[row] * x) / length, 5);
    });
  }
  const asleep = await dora.merge!(attachment, { ...settings, scale: 0 }, tensors, base);
  expect(asleep.get(`${path}.weight`)).toEqual(w);
});
