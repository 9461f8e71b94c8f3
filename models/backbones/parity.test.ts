import { afterAll, describe, expect, test } from 'vitest';
import { input, linear, parameter, type Tensor } from '../../gpu-shaders/index.ts';
import { evaluate, expectedOf, modelIn } from './testing.ts';

/** A row a backbone: the folder of its weights, its reference, and the input variants in there. */
const rows: { name: string; folder?: string; variants: string[] }[] = [
  { name: 'vit-tiny', variants: ['', 'wide.'] },
  { name: 'dinov2-tiny', variants: ['', 'wide.'] },
  { name: 'dinov2-swiglu-tiny', variants: [''] },
  { name: 'dinov2-registers-tiny', variants: ['', 'wide.'] },
  { name: 'vit-s14-saliency', folder: 'models/weights/vit-s14-saliency', variants: ['', 'wide.'] },
  { name: 'graft-vit', folder: 'models/weights/graft-vit', variants: [''] },
  { name: 'efficientnet-lite0', folder: 'models/weights/efficientnet-lite0', variants: ['', 'odd.'] },
];
const TOLERANCE = 1e-4;
const figures: string[] = [];
afterAll(() => console.log(`backbones against PyTorch, largest relative difference:\n${figures.join('\n')}`));

describe.each(rows)('$name', ({ name, folder = `tools/reference/fixtures/${name}`, variants }) => {
  test.each(variants)('computes what PyTorch does %s', async (variant) => {
    const model = await modelIn(folder);
    const expected = await expectedOf(name);
    const pixels = `${variant}pixel_values`;
    const { features, last } = model.trace({
      pixels: input('pixels', expected.info(pixels).shape, { sample: true }),
    });
    const outputs: Record<string, Tensor> = { features, last_hidden_state: last };
    const head = model.head.path;
    const trained = new Map<string, Float32Array>();
    if (model.checkpoint.has(`${head}.weight`)) {
      const [w, b] = ['weight', 'bias'].map((n) => `${head}.${n}`);
      for (const n of [w, b]) trained.set(n, await model.checkpoint.f32(n));
      const of = (n: string) => parameter(n, model.checkpoint.info(n).shape, { trainable: true });
      outputs.logits = linear(features, of(w), of(b));
    }
    const compared = Object.keys(outputs).filter((n) => expected.has(variant + n));
    const values = await evaluate(model, outputs, { pixels: await expected.f32(pixels) }, trained);
    for (const output of compared) {
      const difference = relative(values[output], await expected.f32(variant + output));
      figures.push(
        `  ${(name + (variant && ` ${variant}`)).padEnd(28)} ${output.padEnd(18)} ${difference.toExponential(1)}`,
      );
      expect(difference, output).toBeLessThan(TOLERANCE);
    }
    expect(compared).toContain('features');
  });
});

/** Largest difference over the largest magnitude. */
function relative(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((n, x) => Math.max(n, Math.abs(x)), 0);
  return actual.reduce((n, x, i) => Math.max(n, Math.abs(x - expected[i])), 0) / scale;
}
