import { describe, expect, test } from 'vitest';
import {
  byteSize,
  type DType,
  dequantise,
  gradients,
  isFrozen,
  isTrainable,
  nodesOf,
  type ParameterAttrs,
  QuantiseError,
  quantise,
  type Tensor,
} from '../gpu-shaders/index.ts';
import { close, noise } from '../gpu-shaders/testing/checkOp.ts';
import { openOnnx } from '../tools/onnx/node.ts';
import { Bench, evaluate, modelIn } from './backbones/testing.ts';
import { methodById } from './methods/index.ts';
import type { Model } from './model.ts';
import { weightsFile, writeOnnx } from './onnx/index.ts';
import { traceClassification, trainedParameters } from './tasks/index.ts';
import { frozenDType, packed, weightForms } from './weightForms.ts';

const folder = 'tools/reference/fixtures/vit-tiny';
const [BATCH, SIDE, CLASSES] = [2, 32, 3];
const nameOf = (t: Tensor) => (t.node.attrs as ParameterAttrs).name;
const leavesOf = (t: Tensor) => nodesOf([t]).map((n) => n.outputs[0]);

/** The same weights as another form makes them, but stored in f32. */
const spelledOut = (model: Model, held: Model): Model =>
  Object.create(model, {
    load: { value: (path: string) => held.f32(path) },
    f32: { value: (path: string) => held.f32(path) },
  });

/** Loss and gradients of a training step. */
async function step(model: Model, method: string) {
  const { card, attach } = methodById(method);
  const defaults = Object.fromEntries(card.settings.map((s) => [s.key, s.default]));
  const attachment = attach(model, { ...defaults, r: 2, lora_dropout: 0, target_modules: ['q_proj', 'fc1'] });
  const shape = { classes: CLASSES, batch: BATCH, size: SIDE, labelSmoothing: 0, training: true };
  const { loss } = traceClassification(model, attachment, shape);
  const trained = leavesOf(loss).filter(isTrainable);
  const found = gradients(loss, trained);
  const bench = await Bench.of(model, { loss }, new Map(trained.map((t, i) => [nameOf(t), found[i]])));
  const declared = [...trainedParameters(model, attachment, CLASSES), ...(attachment.buffers ?? [])];
  const values = declared.map(
    ({ name, shape: s }, i) =>
      [
        name,
        noise(
          s.reduce((a, b) => a * b, 1),
          i + 2,
        ).map((v) => v / 5),
      ] as const,
  );
  const knobs = attachment.knobs.map(({ name, value }) => [`knob:${name}`, Float32Array.of(value)]);
  const result = await bench.run(
    {
      pixels: noise(BATCH * 3 * SIDE * SIDE, 1),
      labels: Uint32Array.of(2, 0),
      weights: new Float32Array(BATCH).fill(1 / BATCH),
      ...Object.fromEntries(knobs),
    },
    new Map(values),
  );
  bench.destroy();
  return { loss: result.values.loss, gradients: result.gradients };
}

const packing = weightForms.filter((f) => f !== 'as stored');

describe.each(packing)('frozen weights as %s', (weights) => {
  // DoRA reads the weight itself, not only the product with it.
  test.each(weights === 'int8' ? ['lora', 'dora'] : ['lora'])(
    '%s learns as from the same numbers in f32',
    async (method) => {
      const model = await modelIn(folder);
      const held = model.holding({ weights });
      const [own, plain] = [await step(held, method), await step(spelledOut(model, held), method)];
      close(own.loss, plain.loss, 1e-5, 'loss');
      for (const [name, g] of plain.gradients) close(own.gradients.get(name)!, g, 2e-5, name);
    },
  );

  test('layers take the form; norms, biases and small tables do not; bytes shrink', async () => {
    const model = await modelIn(folder);
    const leaves = (m: Model) => leavesOf(m.trace(m.inputs(1, SIDE)).features).filter(isFrozen);
    const held = leaves(model.holding({ weights }));
    const layers = new Set(model.modules.map((m) => `${m.path}.weight`));
    const other = weights === 'f16' ? 'f16' : 'f32';
    for (const t of held)
      expect([nameOf(t), t.dtype]).toEqual([
        nameOf(t),
        layers.has(nameOf(t)) ? weights : t.shape.length > 1 ? other : 'f32',
      ]);
    const bytes = (list: readonly Tensor[]) =>
      list.filter((t) => layers.has(nameOf(t))).reduce((n, t) => n + byteSize(t), 0);
    const most = { f16: 0.5, int8: 0.29, nf4: 0.15 }[weights];
    expect(bytes(held)).toBeLessThanOrEqual(most * bytes(leaves(model)));
    expect(model.form).toBe('as stored');
  });

  test('an ONNX file has the numbers that kernels compute with', async () => {
    const model = (await modelIn(folder)).holding({ weights });
    const features = (batch: number) => model.trace(model.inputs(batch, SIDE)).features;
    const pixels = noise(BATCH * 3 * SIDE * SIDE, 1);
    const expected = await evaluate(model, { features: features(BATCH) }, { pixels });
    const file = await writeOnnx(
      (batch) => ({
        outputs: { features: features(batch) },
        read: (name) => model.unpacked(name),
        name: 'held',
        version: '1',
        weights: 'external',
      }),
      BATCH,
    );
    const session = await openOnnx().open({
      graph: file.graph,
      weights: file.weights && { name: weightsFile, data: file.weights },
    });
    const found = await session.run({ pixels: { data: pixels, shape: [BATCH, 3, SIDE, SIDE] } });
    await session.close();
    close(found.features, expected.features, 1e-5, 'features');
  });
});

test('a table takes int8 where it is large; half precision stays what it is', () => {
  const table = (shape: number[], form: (typeof weightForms)[number], stored: 'f32' | 'f16' = 'f32'): DType =>
    frozenDType(form, { shape, stored, layer: false });
  expect(table([30522, 384], 'nf4')).toBe('int8');
  expect(table([512, 64], 'int8')).toBe('f32');
  expect(table([30522, 384], 'as stored', 'f16')).toBe('f16');
  expect(frozenDType('nf4', { shape: [8, 8, 3, 3], stored: 'f16', layer: true })).toBe('nf4');
});

test('what cannot be held is refused with its name', () => {
  const bad = Float32Array.of(1, Number.NaN);
  expect(() => packed('a.weight', bad, { shape: [1, 2], dtype: 'int8' })).toThrow(QuantiseError);
  expect(() => packed('a.weight', bad, { shape: [1, 2], dtype: 'int8' })).toThrow(/'a.weight'/);
  expect(() => packed('b.weight', Float32Array.of(1e6), { shape: [1, 1], dtype: 'f16' })).toThrow(
    /'b.weight'/,
  );
  const type = { shape: [1, 2], dtype: 'int8' } as const;
  expect(dequantise(quantise(Float32Array.of(1, -1), type), type)).toEqual(Float32Array.of(1, -1));
});
