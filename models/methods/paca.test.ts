import { beforeAll, expect, test } from 'vitest';
import {
  gradients,
  input,
  isInput,
  linear,
  nodesOf,
  parameter,
  reduceSum,
  sizeOf,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { Bench, modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import type { LayerCall } from '../scope.ts';
import { attachmentScopes } from '../tasks/index.ts';
import { mergedWeights } from './merge.ts';
import type { Base } from './method.ts';
import { paca } from './paca.ts';
import { startValue } from './start.ts';

const PATH = 'vit.layers.1.mlp.fc1';
const R = 4;
const settings: Settings = {
  r: R,
  lora_alpha: 6,
  selection: 'random',
  scale: 1,
  target_modules: [PATH],
};

let model: Model;
let base: Base;
let out: number;
let inputs: number;
let columns: Float32Array;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
  [out, inputs] = model.modules.find((m) => m.path === PATH)!.shape;
  base = {
    weight: (path) => model.f32(path),
    inputMoments: async () => new Map(),
    gradients: async () => new Map(),
  };
  columns = await startValue(paca.attach(model, settings).buffers![0], 1, base);
});

/** The layer alone, on rows of an input, as the method answers it. */
function layer(x: Tensor): { y: Tensor; full: Tensor } {
  const attachment = paca.attach(model, settings);
  const own = attachmentScopes(attachment, true, input('labels', [1], { dtype: 'u32' }))(0);
  const weight = parameter('w', [out, inputs], { trainable: true });
  const call: LayerCall = {
    path: PATH,
    kind: 'linear',
    x,
    weight,
    options: {},
    frozen: () => linear(x, weight),
    apply: (w, of = x) => linear(of, w),
  };
  return { y: attachment.intercept(own).layer!(call)!, full: weight };
}

test('its gradient, over its scale, is that of the chosen columns of the whole weight', async () => {
  const { y, full } = layer(input('x', [7, inputs]));
  const loss = reduceSum(y);
  const delta = nodesOf([loss])
    .flatMap((n) => n.outputs)
    .find((t) => t.node.attrs?.name === `${PATH}.paca_delta`)!;
  const [own, whole] = gradients(loss, [delta, full]);
  const bench = await Bench.of(model, { own, whole });
  const values = new Map([
    ['w', noise(out * inputs, 3)],
    [`${PATH}.paca_delta`, new Float32Array(out * R)],
    [`${PATH}.paca_columns`, columns],
  ]);
  const found = (await bench.run({ x: noise(7 * inputs, 2), 'knob:scale': Float32Array.of(1) }, values))
    .values;
  bench.destroy();
  const scale = 6 / R;
  const expected = Array.from(
    { length: out * R },
    (_, i) => scale * found.whole[Math.floor(i / R) * inputs + columns[i % R]],
  );
  close(found.own, expected, 1e-4);
});

test('what its backward pass keeps of an input is r of its columns', () => {
  const x = input('x', [7, inputs]);
  const { y } = layer(x);
  const loss = reduceSum(y);
  const forward = new Set(nodesOf([loss]));
  const delta = [...forward]
    .flatMap((n) => n.outputs)
    .find((t) => t.node.attrs?.name === `${PATH}.paca_delta`)!;
  const [own] = gradients(loss, [delta]);
  const kept = nodesOf([own])
    .filter((n) => !forward.has(n))
    .flatMap((n) => n.inputs)
    .filter((t) => forward.has(t.node) && t.dtype === 'f32' && t.shape[0] === 7);
  expect(kept.some((t) => isInput(t))).toBe(false);
  expect([...new Set(kept)].map((t) => sizeOf(t.shape))).toEqual([7 * R]);
});

test('columns that are not chosen stay as they are to the bit', async () => {
  const attachment = paca.attach(model, settings);
  const tensors = new Map([
    [`${PATH}.paca_delta`, { shape: [out, R], data: noise(out * R, 5) }],
    [`${PATH}.paca_columns`, { shape: [R + inputs], data: columns }],
  ]);
  const merged = await mergedWeights(paca, attachment, settings, tensors, base);
  const before = await model.f32(`${PATH}.weight`);
  const after = merged.get(`${PATH}.weight`)!;
  const chosen = new Set(columns.subarray(0, R));
  expect(chosen.size).toBe(R);
  for (let i = 0; i < after.length; i++)
    expect(after[i] !== before[i] && !chosen.has(i % inputs), `${i}`).toBe(false);
  const [{ indices }] = paca.masks!(attachment, tensors);
  expect([...indices].every((i) => chosen.has(i % inputs))).toBe(true);
  expect(indices.length).toBe(out * R);
});

test('more columns than a layer has are refused by name', () => {
  expect(() => paca.attach(model, { ...settings, r: inputs + 1 })).toThrow(/fc1/);
});
