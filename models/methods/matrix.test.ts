import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  constant,
  gradients,
  input,
  linear,
  parameter,
  sizeOf,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { trainablesOf } from '../../gpu-shaders/train/step.ts';
import { Bench, evaluate, modelIn, type Values } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import { headParameters, traceClassification, trainedParameters } from '../tasks/classification.ts';
import { linearProbe } from './linearProbe.ts';
import { lora } from './lora.ts';
import type { AddedParameter, Method, Tensors } from './method.ts';

const loraSettings = { r: 3, lora_alpha: 6, scale: 1, lora_dropout: 0 };

/** A method and its settings. */
const methods: [Method, Settings][] = [
  [lora, loraSettings],
  [linearProbe, {}],
];
/** A backbone, its input side, and lists of targets. */
const backbones: [string, number, string[][]][] = [
  ['tools/reference/fixtures/vit-tiny', 32, [['all-linear'], ['q_proj', 'v_proj'], ['vit.layers.1.mlp.fc1']]],
  ['tools/reference/fixtures/dinov2-swiglu-tiny', 20, [['gate_proj', 'up_proj', 'o_proj'], ['all-linear']]],
  ['models/weights/efficientnet-lite0', 64, [['conv_stem', 'blocks.5.3.conv_pw', 'conv_head'], ['conv_pwl']]],
];
const CLASSES = 3;
const BATCH = 2;

const rows = methods.flatMap(([method, settings]) =>
  backbones.map(([folder, side, lists]) => ({ method, settings, folder, side, lists, name: method.card.id })),
);

describe.each(rows)('$name on $folder', ({ method, settings, folder, side, lists }) => {
  const attachTo = (targets: string[]) => method.attach(model, { ...settings, target_modules: targets });
  const shape = { classes: CLASSES, batch: BATCH, side, labelSmoothing: 0, training: true };
  const traced = (targets: string[]) => traceClassification(model, attachTo(targets), shape);
  const values: Values = {
    pixels: noise(BATCH * 3 * side * side, 1),
    labels: Uint32Array.of(2, 0),
    weights: Float32Array.of(0.5, 0.5),
    'knob:scale': Float32Array.of(1),
    random: Uint32Array.of(1, 2),
  };

  let model: Model;
  let parameters: AddedParameter[];
  let attached: Bench<'loss' | 'logits'>;
  beforeAll(async () => {
    model = await modelIn(folder);
    parameters = trainedParameters(model, attachTo(lists[0]), CLASSES);
    const { loss, logits } = traced(lists[0]);
    const leaves = trainablesOf([loss]);
    const found = gradients(loss, [...leaves.values()]);
    attached = await Bench.of(
      model,
      { loss, logits },
      new Map([...leaves.keys()].map((name, i) => [name, found[i]])),
    );
  });
  afterAll(() => attached.destroy());

  test.each(lists.map((list) => [list]))('trains what it declares on %s', (targets) => {
    const declared = trainedParameters(model, attachTo(targets), CLASSES).map(
      (p) => [p.name, p.shape] as const,
    );
    const found = [...trainablesOf([traced(targets).loss])].map(([name, t]) => [name, t.shape] as const);
    expect(new Map(found)).toEqual(new Map(declared));
  });

  test('starts as the frozen model, to the bit', async () => {
    const start = startValues(parameters, false);
    const { logits } = (await attached.run(values, start)).values;
    expect(logits).toEqual(
      (await evaluate(model, { logits: plainLogits(model, side) }, values, start)).logits,
    );
  });

  test('its gradient reaches every parameter and is the slope of the loss', async () => {
    const at = startValues(parameters, true);
    const { gradients: found } = await attached.run(values, at);
    let square = 0;
    for (const { name } of parameters) {
      const g = found.get(name)!;
      expect(g.some((x) => x !== 0) && g.every(Number.isFinite), name).toBe(true);
      square += g.reduce((n, x) => n + x * x, 0);
    }
    // A step of length h along the gradient raises the loss by h times its norm.
    const h = 0.004 / Math.sqrt(square);
    const lossBeside = async (step: number) => {
      const moved = [...at].map(
        ([name, v]) => [name, v.map((x, i) => x + step * found.get(name)![i])] as const,
      );
      return (await attached.run(values, new Map(moved))).values.loss[0];
    };
    expect(((await lossBeside(h)) - (await lossBeside(-h))) / (2 * h * square)).toBeCloseTo(1, 2);
  });

  test.runIf(method.toLowRank)('its factors come back from a file, and merge into the weights', async () => {
    const attachment = attachTo(lists[0]);
    const at = startValues(parameters, true);
    const tensors: Tensors = new Map(
      parameters.map((p) => [p.name, { shape: p.shape, data: at.get(p.name)! }]),
    );
    const updates = method.toLowRank!(attachment, { ...settings, target_modules: lists[0] }, tensors);

    const restored = method.fromLowRank!(updates);
    const again = method.attach(model, restored.settings);
    expect(method.toLowRank!(again, restored.settings, restored.tensors)).toEqual(updates);

    const merged = new Map<string, Tensor>();
    for (const { path, a, b, scale } of updates) {
      const stored = await model.load(`${path}.weight`);
      const frozen = stored instanceof Float32Array ? stored : await model.checkpoint.f32(`${path}.weight`);
      merged.set(
        `${path}.weight`,
        constant(plusProduct(frozen, a, b, scale), [b.shape[0], ...a.shape.slice(1)]),
      );
    }
    const folded = await evaluate(model, { logits: plainLogits(model, side, merged) }, values, at);
    const { logits } = (await attached.run(values, at)).values;
    close(folded.logits, logits, 1e-5, 'logits');
  });
});

test('ranks and scales that differ by module are brought to one', () => {
  const factor = (shape: number[], seed: number) => ({ shape, data: noise(sizeOf(shape), seed) });
  const updates = [
    { path: 'p', a: factor([2, 4], 1), b: factor([3, 2], 2), scale: 0.5 },
    { path: 'q', a: factor([1, 4], 3), b: factor([3, 1], 4), scale: 2 },
  ];
  const { settings, tensors } = lora.fromLowRank!(updates);
  const scale = (settings.lora_alpha as number) / (settings.r as number);
  for (const u of updates) {
    const [a, b] = ['A', 'B'].map((f) => tensors.get(`${u.path}.lora_${f}.weight`)!);
    expect([a.shape, b.shape]).toEqual([
      [2, 4],
      [3, 2],
    ]);
    const zero = new Float32Array(12);
    close(plusProduct(zero, a, b, scale), plusProduct(zero, u.a, u.b, u.scale), 1e-6);
  }
});

/** The values a run starts with, the head's made random; `moved` makes all of them random. */
function startValues(parameters: readonly AddedParameter[], moved: boolean): Map<string, Float32Array> {
  let state = 7;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return new Map(
    parameters.map((p, i) => {
      const initial = p.initial(random);
      const fanIn = sizeOf(p.shape) / p.shape[0];
      const scaled = noise(initial.length, i + 3).map((x) => (0.5 * x) / Math.sqrt(fanIn));
      const fixed = p.name.includes('lora_') && !moved;
      return [p.name, fixed ? initial : scaled];
    }),
  );
}

/** Logits of the backbone alone, with some of its weights replaced. */
function plainLogits(model: Model, side: number, merged: ReadonlyMap<string, Tensor> = new Map()): Tensor {
  const pixels = input('pixels', [BATCH, 3, side, side], { sample: true });
  const { features } = model.trace(pixels, [{ parameter: (path) => merged.get(path) ?? null }]);
  const [w, b] = headParameters(model, CLASSES).map((p) => parameter(p.name, p.shape, { trainable: true }));
  return linear(features, w, b);
}

type Factor = { shape: readonly number[]; data: Float32Array };

/** w + scale · b a, both factors seen as matrices. */
function plusProduct(w: Float32Array, a: Factor, b: Factor, scale: number): Float32Array {
  const rank = a.shape[0];
  const width = a.data.length / rank;
  return w.map((x, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += b.data[row * rank + r] * a.data[r * width + column];
    return x + scale * sum;
  });
}
