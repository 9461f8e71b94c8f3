import { afterAll, describe, expect, test } from 'vitest';
import {
  crossEntropy,
  gradients,
  input,
  linear,
  parameter,
  reduceSum,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { Checkpoint } from '../checkpoints/safetensors.ts';
import { methodById } from '../methods/index.ts';
import type { Model } from '../model.ts';
import { Scope } from '../scope.ts';
import { attachmentScopes } from '../tasks/index.ts';
import type { BackboneOutput } from './backbone.ts';
import { Bench, evaluate, expectedOf, modelIn } from './testing.ts';

/** The fixtures of `tools/reference/image_families.py`, at least two configurations of a family. */
const rows = [
  'deit-tiny',
  'deit-teacher-tiny',
  'clip-tiny',
  'clip-eos-tiny',
  'clip-classifier-tiny',
  'clip-text-tiny',
  'siglip-tiny',
  'siglip-wide-tiny',
  'siglip-classifier-tiny',
  'swin-tiny',
  'swin-padded-tiny',
  'tinyvit-tiny',
  'tinyvit-original-tiny',
  'mobile-sam-tiny',
  'mobile-sam-wide-tiny',
  'convnext-tiny',
  'convnext-plain-tiny',
  'convnextv2-tiny',
  'convnextv2-deep-tiny',
  'resnet-basic-tiny',
  'resnet-bottleneck-tiny',
  'resnet-early-tiny',
  'mobilenetv2-tiny',
  'mobilenetv2-dilated-tiny',
  'efficientnet-tiny',
  'efficientnet-max-tiny',
];
const CLASSES = 5;
const figures: string[] = [];
afterAll(() => console.log(`images against PyTorch, largest relative difference:\n${figures.join('\n')}`));

/** Largest difference over the largest magnitude. */
function relative(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((n, x) => Math.max(n, Math.abs(x)), 0);
  return actual.reduce((n, x, i) => Math.max(n, Math.abs(x - expected[i])), 0) / scale;
}

const note = (name: string, what: string, difference: number) =>
  figures.push(`  ${name.padEnd(30)} ${what.padEnd(18)} ${difference.toExponential(1)}`);

/** What PyTorch calls our inputs. */
const theirs: Record<string, string> = { pixels: 'pixel_values', ids: 'input_ids', mask: 'attention_mask' };

/** A fixture's inputs as a trace takes them, and their values. */
async function given(model: Model, expected: Checkpoint, variant: string) {
  const inputs: Record<string, Tensor> = {};
  const values: Record<string, Float32Array | Uint32Array> = {};
  for (const { name, dtype } of model.sampleInputs(model.backbone.size(model.config).default)) {
    const at = variant + theirs[name];
    inputs[name] = input(name, expected.info(at).shape, { sample: true, dtype });
    const data = await expected.f32(at);
    values[name] = dtype === 'u32' ? Uint32Array.from(data) : data;
  }
  return { inputs, values };
}

/** Logits by the heads that the checkpoint brings, or by the one that the fixture gives; its values. */
async function classified(model: Model, output: BackboneOutput, expected: Checkpoint) {
  const values = new Map<string, Float32Array>();
  const root = new Scope({ weights: model.weights(), interceptions: [] });
  const stored = model.backbone.storedLogits?.(root, output, model.config);
  if (stored) return { logits: stored, values };
  const { path } = model.head;
  const read = async (name: string) => {
    const whole = `${path}.${name}`;
    const own = expected.has(`head.${name}`) ? expected.f32(`head.${name}`) : model.f32(whole);
    values.set(whole, await own);
    const shape = name === 'bias' ? [CLASSES] : [CLASSES, output.features.shape[1]];
    return parameter(whole, shape, { trainable: true });
  };
  return { logits: linear(output.features, await read('weight'), await read('bias')), values };
}

describe.each(rows)('%s', (name) => {
  const open = async () =>
    [await modelIn(`tools/reference/fixtures/${name}`), await expectedOf(name)] as const;

  test.each(['', 'odd.'])('computes what PyTorch does %s', async (variant) => {
    const [model, expected] = await open();
    if (!expected.has(`${variant}features`)) return;
    const { inputs, values } = await given(model, expected, variant);
    const output = model.trace(inputs);
    const head = await classified(model, output, expected);
    const traced: Record<string, Tensor> = { features: output.features, last_hidden_state: output.last };
    if (expected.has(`${variant}logits`)) traced.logits = head.logits;
    const found = await evaluate(model, traced, values, head.values);
    for (const what of Object.keys(traced)) {
      const difference = relative(found[what], await expected.f32(variant + what));
      note(`${name} ${variant}`, what, difference);
      expect(difference, what).toBeLessThan(1e-4);
    }
  });

  test("gives a LoRA PEFT's gradients", async () => {
    const [model, expected] = await open();
    const { inputs, values } = await given(model, expected, '');
    const factors = expected.names().filter((n) => /^lora\.(?!grad\.).*\.weight$/.test(n));
    const targets = factors.filter((n) => n.endsWith('.lora_A.weight')).map((n) => n.slice(5, -14));
    const settings = {
      r: 2,
      lora_alpha: 4,
      use_rslora: false,
      scale: 1,
      lora_dropout: 0,
      target_modules: targets,
    };
    const attachment = methodById('lora').attach(model, settings);
    expect(attachment.targets.toSorted()).toEqual(targets.toSorted());
    const batch = Object.values(inputs)[0].shape[0];
    const labels = input('labels', [batch], { dtype: 'u32' });
    const scope = attachmentScopes(attachment, true, labels)(0);
    const output = model.trace(inputs, [attachment.intercept(scope)]);
    const head = await classified(model, output, expected);
    const weights = input('weights', [batch]);
    const loss = reduceSum(crossEntropy(head.logits, labels, { weights, labelSmoothing: 0 }));
    const names = attachment.parameters.map((p) => p.name);
    const slopes = gradients(
      loss,
      names.map((n) => scope.parameter(n)),
    );
    const bench = await Bench.of(model, { loss }, new Map(names.map((n, i) => [n, slopes[i]])));
    const start = new Map(head.values);
    for (const n of names) start.set(n, await expected.f32(`lora.${n}`));
    const sample = {
      ...values,
      labels: Uint32Array.from(await expected.f32('lora.labels')),
      weights: new Float32Array(batch).fill(1 / batch),
      'knob:scale': Float32Array.of(1),
    };
    const run = await bench.run(sample, start);
    bench.destroy();
    expect(relative(run.values.loss, await expected.f32('lora.loss'))).toBeLessThan(1e-4);
    let worst = 0;
    for (const n of names) {
      const difference = relative(run.gradients.get(n)!, await expected.f32(`lora.grad.${n}`));
      worst = Math.max(worst, difference);
      expect(difference, n).toBeLessThan(1e-3);
    }
    note(name, 'LoRA gradients', worst);
  });
});
