import { beforeAll, describe, expect, test } from 'vitest';
import { gradients, parameter, reduceSum, sizeOf } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { Bench, evaluate, modelIn } from '../backbones/testing.ts';
import { bytesSource, readSafetensors } from '../checkpoints/safetensors.ts';
import type { Settings } from '../describe.ts';
import { fromNative, toNative } from '../exports/native.ts';
import type { Model } from '../model.ts';
import { traceClassification, trainedParameters } from '../tasks/index.ts';
import { lowPrecision, lowPrecisionAdaptformer } from './lowPrecision.ts';
import { adapterFileBytes, asUsed, narrowStart, packedForm, quantised } from './lowPrecisionParts.ts';
import type { Bits } from './math/quantise.ts';
import type { Tensors } from './method.ts';
import { noBase } from './start.ts';

let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

test.each([1, 2, 4, 8, 32] as const)('%i bits train as they are kept', async (bits) => {
  const w = noise(60, 3).map((x) => 0.1 * x + 0.02);
  const t = parameter('w', [6, 10], { trainable: true });
  const { y } = await evaluate(model, { y: quantised(t, bits) }, {}, new Map([['w', w]]));
  close(y, asUsed(w, bits), 1e-5);
  expect(new Set(asUsed(w, bits)).size).toBeLessThanOrEqual(Math.min(60, 2 ** bits));
});

// What is rounded stands still but for mean and deviation, so that the sum of the rounded follows the mean alone.
test('gradients pass through the rounding, the mean and the deviation', async () => {
  const w = noise(60, 3);
  const t = parameter('w', [6, 10], { trainable: true });
  const y = quantised(t, 2);
  const [g] = gradients(reduceSum(y), [t]);
  const bench = await Bench.of(model, { y }, new Map([['w', g]]));
  const run = await bench.run({}, new Map([['w', w]]));
  bench.destroy();
  const n = w.length;
  const mean = w.reduce((a, b) => a + b, 0) / n;
  const deviation = Math.sqrt(w.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1));
  // y_i = q_i σ + μ with dq_i = dz_i: d Σ y = Σ dz σ + Σ q dσ + n dμ, and Σ z = 0 whatever w is, so Σ dz = 0.
  const codes = run.values.y.map((v) => (v - mean) / deviation);
  const sum = codes.reduce((a, b) => a + b, 0);
  const expected = w.map((x) => 1 + (sum * (x - mean)) / ((n - 1) * deviation));
  close(run.gradients.get('w')!, expected, 1e-3);
});

describe.each([
  [lowPrecision, { r: 4, lora_dropout: 0, target_modules: ['q_proj', 'v_proj'] }],
  [lowPrecisionAdaptformer, { bottleneck: 4, last_blocks: 0, adapter_dropout: 0 }],
] as const)('$card.id', (method, own) => {
  test.each([1, 4] as const)(
    'its file of %i bits has the bytes it should, and gives the same logits',
    async (bits) => {
      const settings: Settings = { ...own, bits: `${bits}`, scale: 1 } as unknown as Settings;
      const attachment = method.attach(model, settings);
      const tensors = new Map(
        trainedParameters(model, attachment, 3).map((p, i) => [
          p.name,
          { shape: p.shape, data: noise(sizeOf(p.shape), i + 2).map((x) => 0.2 * x) },
        ]),
      );
      const packed = packedForm.write(attachment, settings, tensors);
      const bytes = [...packed.values()].reduce((n, b) => n + b.length, 0);
      const expected = attachment.parameters.reduce(
        (n, p) => n + Math.ceil((sizeOf(p.shape) * bits) / 8) + 8,
        0,
      );
      expect([bytes, adapterFileBytes(attachment, settings)]).toEqual([expected, expected]);
      const file = await readSafetensors(
        bytesSource(toNative({ method: method.card.id, settings, tensors, packed })),
      );
      const native = await fromNative(file);
      const restored = packedForm.read(attachment, native.settings, native.packed);
      const logitsOf = (given: Settings, values: Tensors) => {
        const shape = { classes: 3, batch: 1, size: 32, labelSmoothing: 0, training: false };
        const { logits } = traceClassification(model, method.attach(model, given), shape);
        const inputs = { pixels: noise(3 * 32 * 32, 1), 'knob:scale': Float32Array.of(1) };
        return evaluate(model, { logits }, inputs, new Map([...values].map(([n, t]) => [n, t.data])));
      };
      const back = new Map([...native.tensors, ...restored.tensors]);
      close(
        (await logitsOf(restored.settings, back)).logits,
        (await logitsOf(settings, tensors)).logits,
        1e-5,
      );
    },
  );
});

test('the second matrix starts narrow and cut, or at zero where nothing is rounded', async () => {
  let state = 1;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const narrow = await narrowStart(2000, 1 as Bits)(draw, noBase);
  expect(Math.max(...narrow.map(Math.abs))).toBeLessThanOrEqual(0.002);
  expect(Math.hypot(...narrow) / Math.sqrt(2000)).toBeCloseTo(0.00088, 4);
  expect((await narrowStart(5, 32)(draw, noBase)).every((x) => x === 0)).toBe(true);
});
