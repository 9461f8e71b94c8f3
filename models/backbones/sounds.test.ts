import { afterAll, describe, expect, test } from 'vitest';
import {
  add,
  crossEntropy,
  gradients,
  input,
  linear,
  mul,
  parameter,
  reduceSum,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { Checkpoint } from '../checkpoints/safetensors.ts';
import type { Model } from '../model.ts';
import type { Interception } from '../scope.ts';
import { headOf } from '../tasks/index.ts';
import { ConfigError } from './backbone.ts';
import { Bench, evaluate, expectedOf, modelIn } from './testing.ts';
import { whisper } from './whisper.ts';

const names = ['ast-tiny', 'ast-plain-tiny', 'whisper-tiny', 'whisper-summed-tiny'];
const figures: string[] = [];
afterAll(() => console.log(`sounds against PyTorch, largest relative difference:\n${figures.join('\n')}`));

/** Largest difference over the largest magnitude. */
function relative(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((n, x) => Math.max(n, Math.abs(x)), 0);
  return actual.reduce((n, x, i) => Math.max(n, Math.abs(x - expected[i])), 0) / scale;
}

const trainable = (name: string, shape: readonly number[]) => parameter(name, shape, { trainable: true });

/** The head's parameters by their names, with the checkpoint's values. */
async function headValues(model: Model): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const name of model.checkpoint.names())
    if (model.isHead(name)) values.set(name, await model.checkpoint.f32(name));
  return values;
}

describe.each(names)('%s', (name) => {
  test.each(['', 'short.'])('computes what PyTorch does %s', async (variant) => {
    const expected = await expectedOf(name);
    if (!expected.has(`${variant}mel`)) return;
    const model = await modelIn(`tools/reference/fixtures/${name}`);
    const mel = input('mel', expected.info(`${variant}mel`).shape, { sample: true });
    const { features, last } = model.trace({ mel });
    const logits = headOf(model, 5, trainable)(features);
    const values = await evaluate(
      model,
      { logits, last_hidden_state: last },
      { mel: await expected.f32(`${variant}mel`) },
      await headValues(model),
    );
    for (const output of ['logits', 'last_hidden_state'] as const) {
      const difference = relative(values[output], await expected.f32(variant + output));
      figures.push(
        `  ${`${name} ${variant}`.padEnd(28)} ${output.padEnd(18)} ${difference.toExponential(1)}`,
      );
      expect(difference, output).toBeLessThan(1e-4);
    }
  });

  test("a LoRA's gradients are PyTorch's", async () => {
    const expected = await expectedOf(name);
    const model = await modelIn(`tools/reference/fixtures/${name}`);
    const shape = expected.info('mel').shape;
    const parameters = new Map<string, Tensor>();
    const trained = (at: string, sizes: readonly number[]) => {
      const t = trainable(at, sizes);
      parameters.set(at, t);
      return t;
    };
    const mel = input('mel', shape, { sample: true });
    const { features } = model.trace({ mel }, [loraOf(expected, trained)]);
    const labels = input('labels', [shape[0]], { dtype: 'u32' });
    const weights = input('weights', [shape[0]]);
    const logits = headOf(model, 5, trained)(features);
    const loss = reduceSum(crossEntropy(logits, labels, { weights, labelSmoothing: 0 }));
    const list = [...parameters];
    const found = gradients(
      loss,
      list.map(([, t]) => t),
    );
    const bench = await Bench.of(model, { loss }, new Map(list.map(([at], i) => [at, found[i]])));
    const start = new Map<string, Float32Array>();
    for (const [at] of list) start.set(at, await expected.f32(`lora.${at}`));
    const run = await bench.run(
      {
        mel: await expected.f32('mel'),
        labels: Uint32Array.from({ length: shape[0] }, (_, i) => i % 5),
        weights: new Float32Array(shape[0]).fill(1 / shape[0]),
      },
      start,
    );
    bench.destroy();
    expect(relative(run.values.loss, await expected.f32('lora.loss'))).toBeLessThan(1e-4);
    const wanted = expected.names().filter((n) => n.startsWith('lora.grad.'));
    expect(wanted.length).toBe(list.length);
    let worst = 0;
    for (const at of wanted) {
      const difference = relative(run.gradients.get(at.slice('lora.grad.'.length))!, await expected.f32(at));
      worst = Math.max(worst, difference);
      expect(difference, at).toBeLessThan(1e-3);
    }
    figures.push(`  ${name.padEnd(28)} ${'LoRA gradients'.padEnd(18)} ${worst.toExponential(1)}`);
  });
});

/** Adds 2 B A x (r 4, alpha 8) wherever the fixture has factors. */
function loraOf(
  expected: Checkpoint,
  read: (name: string, shape: readonly number[]) => Tensor,
): Interception {
  return {
    layer({ path, x, frozen }) {
      const [a, b] = ['A', 'B'].map((f) => `${path}.lora_${f}.weight`);
      if (!expected.has(`lora.${a}`)) return null;
      const [down, up] = [a, b].map((n) => read(n, expected.info(`lora.${n}`).shape));
      return add(frozen(), mul(linear(linear(x, down), up), 2));
    },
  };
}

test('what does not fit is refused', () => {
  expect(() => whisper.configure({ d_model: 30, encoder_attention_heads: 4 })).toThrow(ConfigError);
  expect(whisper.size(whisper.configure({}))).toMatchObject({ default: 5, max: 30, unit: 's' });
});
