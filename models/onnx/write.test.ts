import { afterAll, describe, expect, test } from 'vitest';
import {
  add,
  constant,
  gelu,
  input,
  linear,
  mul,
  nodesOf,
  parameter,
  sizeOf,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { openOnnx } from '../../tools/onnx/node.ts';
import { evaluate, modelIn } from '../backbones/testing.ts';
import { methods } from '../methods/index.ts';
import { lora } from '../methods/lora.ts';
import { mergedWeights } from '../methods/merge.ts';
import type { Base, Tensors } from '../methods/method.ts';
import { noBase, startValue } from '../methods/start.ts';
import type { Model } from '../model.ts';
import { traceClassification, trainedParameters } from '../tasks/index.ts';
import { classifierOnnx, OnnxExportError, type OnnxFile, table, weightsFile, writeOnnx } from './index.ts';

const fixtures = 'tools/reference/fixtures';
/** A backbone, its input side and the layers that are adapted. */
const backbones: [string, number, string[]][] = [
  [`${fixtures}/vit-tiny`, 32, ['all-linear']],
  [`${fixtures}/vit-tiny`, 48, ['q_proj', 'v_proj']],
  [`${fixtures}/dinov2-tiny`, 28, ['all-linear']],
  [`${fixtures}/dinov2-swiglu-tiny`, 20, ['gate_proj', 'up_proj', 'o_proj']],
  [`${fixtures}/dinov2-registers-tiny`, 32, ['all-linear']],
  ['models/weights/efficientnet-lite0', 64, ['conv_stem', 'conv_pwl', 'conv_head']],
];
const CLASSES = ['ant', 'bee', 'cat'];
const BATCH = 2;
const TOLERANCE = 1e-5;
const figures: string[] = [];
afterAll(() =>
  console.log(`ONNX Runtime against the engine, largest relative difference:\n${figures.join('\n')}`),
);

describe.each(backbones)('%s at %i px', (folder, side, targets) => {
  const pixels = noise(BATCH * 3 * side * side, 1);
  const agree = (what: string, found: Float32Array, expected: Float32Array) => {
    const difference = relative(found, expected);
    figures.push(
      `  ${`${folder.split('/').at(-1)} ${side} ${what}`.padEnd(36)} ${difference.toExponential(1)}`,
    );
    expect(difference, what).toBeLessThan(TOLERANCE);
  };

  test('features of the plain backbone; logits with LoRA beside the weights and merged into them', async () => {
    const model = await modelIn(folder);
    const settings = { r: 2, lora_alpha: 4, scale: 0.5, lora_dropout: 0, target_modules: targets };
    const attachment = lora.attach(model, settings);
    const tensors = moved(model, attachment);
    const shape = { classes: CLASSES.length, batch: BATCH, size: side, labelSmoothing: 0, training: false };
    const plain = (batch: number) => model.trace(model.inputs(batch, side)).features;
    const { logits } = traceClassification(model, attachment, shape);
    const expected = await evaluate(
      model,
      { logits, features: plain(BATCH) },
      { pixels, 'knob:scale': Float32Array.of(0.5) },
      new Map([...tensors].map(([name, { data }]) => [name, data])),
    );
    const data = { data: pixels, shape: [BATCH, 3, side, side] };

    const beside = await writeOnnx(
      (batch) => ({
        outputs: { features: plain(batch) },
        read: (name) => model.unpacked(name),
        name: 'plain',
        version: '1',
        weights: 'external',
      }),
      BATCH,
    );
    agree('plain', (await run(beside, { pixels: data })).features, expected.features);
    const merged = await mergedWeights(lora, attachment, settings, tensors, {
      ...noBase,
      weight: (path) => model.f32(path),
    });
    for (const [what, of] of [
      ['with LoRA', null],
      ['LoRA merged', merged],
    ] as const) {
      const file = await classifierOnnx({
        model,
        attachment,
        tensors,
        merged: of,
        knobs: { scale: 0.5 },
        classes: CLASSES,
        size: side,
        preprocessor: {},
        name: 'adapted',
        version: '1',
      });
      expect([beside.openBatch, file.openBatch]).toEqual([true, true]);
      agree(what, (await run(file, { pixel_values: data })).logits, expected.logits);
    }
  });
});

test.each(methods.map((m) => [m.card.id, m] as const))(
  '%s: every operation of its forward pass has a row',
  async (_, method) => {
    const missing = new Set<string>();
    for (const [folder, side, targets] of backbones) {
      const model = await modelIn(folder);
      const defaults = Object.fromEntries(method.card.settings.map((s) => [s.key, s.default]));
      let attachment: ReturnType<typeof method.attach>;
      try {
        attachment = method.attach(model, { ...defaults, target_modules: targets });
      } catch {
        continue; // A method that does not fit this backbone says so itself.
      }
      const shape = { classes: 3, batch: BATCH, size: side, labelSmoothing: 0, training: false };
      const { logits } = traceClassification(model, attachment, shape);
      for (const { op } of nodesOf([logits])) if (!Object.hasOwn(table, op.name)) missing.add(op.name);
    }
    expect([...missing]).toEqual([]);
  },
);

test.each(methods.map((m) => [m.card.id, m] as const))(
  '%s: merged and kept beside the weights it computes the same',
  async (_, method) => {
    const side = 32;
    const model = await modelIn(`${fixtures}/vit-tiny`);
    const settings = {
      ...Object.fromEntries(method.card.settings.map((s) => [s.key, s.default])),
      target_modules: ['q_proj', 'v_proj'],
    };
    const attachment = method.attach(model, settings);
    const base = stillBase(model);
    const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const [i, p] of trainedParameters(model, attachment, CLASSES.length).entries()) {
      const start = await startValue(p, 1, base);
      const nudge = noise(start.length, i + 1);
      tensors.set(p.name, { shape: p.shape, data: start.map((v, j) => v + 0.05 * nudge[j]) });
    }
    for (const b of attachment.buffers ?? [])
      tensors.set(b.name, { shape: b.shape, data: await startValue(b, 1, base) });
    const knobs = Object.fromEntries(attachment.knobs.map((k) => [k.name, k.value]));
    const logits = async (merged: ReadonlyMap<string, Float32Array> | null) => {
      const about = { classes: CLASSES, size: side, preprocessor: {}, name: 'adapted', version: '1' };
      const file = await classifierOnnx({ model, attachment, tensors, merged, knobs, ...about });
      const pixels = { data: noise(BATCH * 3 * side * side, 1), shape: [BATCH, 3, side, side] };
      return (await run(file, { pixel_values: pixels })).logits;
    };
    const beside = await logits(null);
    expect(beside.every(Number.isFinite)).toBe(true);
    if (!attachment.parameters.length || method.unmergeable) return;
    const merged = await mergedWeights(method, attachment, { ...settings, ...knobs }, tensors, base);
    expect(relative(await logits(merged), beside)).toBeLessThan(TOLERANCE);
  },
);

describe('a graph', () => {
  const written = (trace: (batch: number) => Tensor) =>
    writeOnnx(
      (batch) => ({
        outputs: { y: trace(batch) },
        read: async (name) => noise(name === 'w' ? 12 : 3, 2),
        name: 'small',
        version: '1',
        weights: 'embedded',
      }),
      2,
    );

  test('whose batch cannot be left open is written for one', async () => {
    const rows = (batch: number) =>
      constant(
        Float32Array.from({ length: batch }, (_, i) => i + 1),
        [batch, 1],
      );
    const file = await written((batch) => mul(input('x', [batch, 4]), rows(batch)));
    expect(file.openBatch).toBe(false);
    const x = noise(8, 3);
    const { y } = await run(file, { x: { data: x, shape: [2, 4] } });
    expect([...y]).toEqual([...x.map((v, i) => v * (i < 4 ? 1 : 2))].map(Math.fround));
  });

  test('with an operation that has no row is refused by its name', async () => {
    const x = input('x', [2, 4]);
    const { node } = gelu(x);
    const odd = { ...node, op: { ...node.op, name: 'twirl' }, outputs: [] as Tensor[] };
    const y: Tensor = { shape: [2, 4], dtype: 'f32', node: odd, output: 0 };
    odd.outputs.push(y);
    await expect(written(() => y)).rejects.toThrow(OnnxExportError);
    await expect(written(() => y)).rejects.toThrow("'twirl'");
  });

  test('has what depends on weights alone computed beforehand', async () => {
    const file = await written((batch) => {
      const [w, b] = [parameter('w', [3, 4]), parameter('b', [3])];
      return linear(input('x', [batch, 4]), add(w, mul(w, 2)), mul(b, b));
    });
    // The bytes of a Mul node's type: field 4 of length 3.
    expect(new TextDecoder('latin1').decode(file.graph)).not.toContain('\x22\x03Mul');
    const x = noise(8, 3);
    const [w, b] = [noise(12, 2), noise(3, 2)];
    const { y } = await run(file, { x: { data: x, shape: [2, 4] } });
    const expected = Float32Array.from({ length: 6 }, (_, i) => {
      const [row, out] = [Math.floor(i / 3), i % 3];
      let sum = b[out] * b[out];
      for (let k = 0; k < 4; k++) sum += x[row * 4 + k] * 3 * w[out * 4 + k];
      return sum;
    });
    expect(relative(y, expected)).toBeLessThan(1e-6);
  });
});

async function run(file: OnnxFile, inputs: Record<string, { data: Float32Array; shape: number[] }>) {
  const weights = file.weights && { name: weightsFile, data: file.weights };
  const session = await openOnnx().open({ graph: file.graph, weights });
  const values = await session.run(inputs);
  await session.close();
  return values;
}

/** Trained values that are not those of the start. */
function moved(model: Model, attachment: Parameters<typeof trainedParameters>[1]): Tensors {
  return new Map(
    trainedParameters(model, attachment, CLASSES.length).map((p, i) => {
      const size = p.shape.reduce((a, b) => a * b, 1);
      const scale = 0.5 / Math.sqrt(size / p.shape[0]);
      return [p.name, { shape: p.shape, data: noise(size, i + 3).map((v) => v * scale) }];
    }),
  );
}

/** The frozen model with made-up answers where a method would ask for measurements on data. */
function stillBase(model: Model): Base {
  const shapeOf = (path: string) => model.modules.find((m) => m.path === path)!.shape;
  const made = (of: (path: string, i: number) => Float32Array) => async (paths: readonly string[]) =>
    new Map(paths.map((path, i) => [path, of(path, i)]));
  return {
    weight: (path) => model.f32(path),
    inputMoments: made((path) => {
      const width = shapeOf(path)[1];
      return Float32Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0));
    }),
    gradients: made((path, i) => noise(sizeOf(shapeOf(path)), i + 1)),
  };
}

/** Largest difference over the largest magnitude. */
function relative(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((n, x) => Math.max(n, Math.abs(x)), 0);
  return actual.reduce((n, x, i) => Math.max(n, Math.abs(x - expected[i])), 0) / scale;
}
