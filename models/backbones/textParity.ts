import { expect } from 'vitest';
import { crossEntropy, gradients, input, mean, parameter } from '../../gpu-shaders/index.ts';
import { close } from '../../gpu-shaders/testing/checkOp.ts';
import { lora } from '../methods/lora.ts';
import type { Model } from '../model.ts';
import { attachmentScopes, headOf, headParameters } from '../tasks/index.ts';
import { Bench, expectedOf, modelIn, type Values } from './testing.ts';

const CLASSES = 3;
const settings = { r: 2, lora_alpha: 4, use_rslora: false, scale: 1, lora_dropout: 0 };

type Expected = Awaited<ReturnType<typeof expectedOf>>;

/** A batch of a fixture as inputs of a trace, and what they hold. */
async function batchOf(model: Model, expected: Expected) {
  const [batch, tokens] = expected.info('ids').shape;
  const inputs = model.inputs(batch, tokens);
  const values: Record<string, Float32Array | Uint32Array> = {};
  for (const [name, { dtype }] of Object.entries(inputs)) {
    const data = await expected.f32(name);
    values[name] = dtype === 'u32' ? Uint32Array.from(data) : data;
  }
  return { inputs, values: values as Values, batch };
}

/** Rows of a text that are no padding: what a padded row holds is nobody's business. */
function withoutPadding(data: Float32Array, mask: Float32Array): Float32Array {
  const width = data.length / mask.length;
  return data.filter((_, i) => mask[Math.floor(i / width)] > 0);
}

async function headValues(model: Model): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const { name } of headParameters(model, CLASSES)) values.set(name, await model.f32(name));
  return values;
}

/**
 * Holds the fixture of a text family to transformers: scores of classes and of words with the LoRA at scale 0, and to PEFT:
 * its gradients at scale 1. One program does both.
 */
export async function holdsToReference(fixture: string): Promise<void> {
  const [model, expected] = await Promise.all([
    modelIn(`tools/reference/fixtures/${fixture}`),
    expectedOf(fixture),
  ]);
  const { inputs, values, batch } = await batchOf(model, expected);
  const names = expected.names().filter((n) => n.startsWith('lora.grad.'));
  const targets = names.map((n) => n.replace(/^lora\.grad\.(.*)\.lora_[AB]\.weight$/, '$1'));
  const attachment = lora.attach(model, { ...settings, target_modules: targets });
  const added = attachment.parameters.map((p) => p.name);
  expect(added.map((name) => `lora.grad.${name}`).sort()).toEqual(names.sort());

  const labels = input('labels', [batch], { dtype: 'u32' });
  const scope = attachmentScopes(attachment, true, labels)(0);
  const output = model.trace(inputs, [attachment.intercept(scope)]);
  const root = model.scope();
  const language = model.backbone.languageHead!(root, output, model.config);
  const head = headOf(model, CLASSES, (name, shape) => parameter(name, shape, { mutable: true }));
  const logits = head(output.features);
  const loss = mean(crossEntropy(logits, labels));
  const grads = gradients(
    loss,
    added.map((name) => scope.parameter(name)),
  );
  const bench = await Bench.of(
    model,
    { logits, language, loss },
    new Map(grads.map((g, i) => [added[i], g])),
  );
  const start = await headValues(model);
  for (const name of added) start.set(name, await expected.f32(`lora.${name}`));
  const given = { ...values, labels: Uint32Array.from(await expected.f32('lora.labels')) };
  const frozen = await bench.run({ ...given, 'knob:scale': Float32Array.of(0) }, start);
  const adapted = await bench.run({ ...given, 'knob:scale': Float32Array.of(1) }, start);
  bench.destroy();

  close(frozen.values.logits, await expected.f32('logits'), 1e-4, 'logits');
  const words = [frozen.values.language, await expected.f32('language')];
  const [found, wanted] = words.map((w) => withoutPadding(w, values.mask as Float32Array));
  close(found, wanted, 1e-4, 'language logits');
  close(adapted.values.loss, await expected.f32('lora.loss'), 1e-4, 'loss');
  for (const name of added)
    close(adapted.gradients.get(name)!, await expected.f32(`lora.grad.${name}`), 1e-3, name);
}
