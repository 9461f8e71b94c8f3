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
import { given, relative } from './imageFixtures.ts';
import { Bench, evaluate, expectedOf, modelIn } from './testing.ts';

const CLASSES = 5;
/** Takes down a difference that was found. */
type Note = (name: string, what: string, difference: number) => void;

const open = async (name: string) =>
  [await modelIn(`tools/reference/fixtures/${name}`), await expectedOf(name)] as const;

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

/**
 * Tests of fixtures of `tools/reference/image_families.py`: features, last states and logits within 1e-4 of PyTorch's, and
 * the gradients of a LoRA on two modules within 1e-3 of PEFT's.
 */
export function holdsToPyTorch(names: readonly string[]): void {
  const figures: string[] = [];
  const note: Note = (name, what, difference) =>
    figures.push(`  ${name.padEnd(30)} ${what.padEnd(18)} ${difference.toExponential(1)}`);
  afterAll(() => console.log(`images against PyTorch, largest relative difference:\n${figures.join('\n')}`));
  describe.each(names)('%s', (name) => {
    test.each(['', 'odd.'])('computes what PyTorch does %s', (variant) => sameValues(name, variant, note));
    test("gives a LoRA PEFT's gradients", () => sameGradients(name, note));
  });
}

async function sameValues(name: string, variant: string, note: Note): Promise<void> {
  const [model, expected] = await open(name);
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
}

/** A LoRA (r 2, alpha 4) on the modules that the fixture has factors of. */
function loraOf(model: Model, expected: Checkpoint) {
  const targets = expected
    .names()
    .filter((n) => /^lora\.(?!grad\.).*\.lora_A\.weight$/.test(n))
    .map((n) => n.slice('lora.'.length, -'.lora_A.weight'.length));
  const fixed = { r: 2, lora_alpha: 4, use_rslora: false, scale: 1, lora_dropout: 0 };
  const attachment = methodById('lora').attach(model, { ...fixed, target_modules: targets });
  expect(attachment.targets.toSorted()).toEqual(targets.toSorted());
  return attachment;
}

async function sameGradients(name: string, note: Note): Promise<void> {
  const [model, expected] = await open(name);
  const { inputs, values } = await given(model, expected, '');
  const attachment = loraOf(model, expected);
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
  const differences = await Promise.all(
    names.map(async (n) => relative(run.gradients.get(n)!, await expected.f32(`lora.grad.${n}`))),
  );
  names.forEach((n, i) => {
    expect(differences[i], n).toBeLessThan(1e-3);
  });
  note(name, 'LoRA gradients', Math.max(...differences));
}
