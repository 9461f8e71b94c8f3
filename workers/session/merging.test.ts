import { beforeAll, expect, test } from 'vitest';
import { sizeOf } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../../models/backbones/testing.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import type { Model } from '../../models/model.ts';
import { HeldOut, type MergeInput, mergeAdapters, scoreHeldOut } from './merging.ts';
import type { Dataset } from './ports.ts';

let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

function input(id: string, own: Settings, classes: string[], seed: number): MergeInput {
  const method = methodById(id);
  const settings = { ...own, target_modules: ['q_proj', 'v_proj'] };
  const attachment = method.attach(model, settings);
  const tensors = new Map(
    attachment.parameters.map((p, i) => [p.name, { shape: p.shape, data: noise(sizeOf(p.shape), seed + i) }]),
  );
  const width = model.backbone.featureSize(model.config);
  const rows = classes.length;
  if (rows) {
    tensors.set('classifier.weight', { shape: [rows, width], data: noise(rows * width, seed + 50) });
    tensors.set('classifier.bias', { shape: [rows], data: noise(rows, seed + 60) });
  }
  return { method, attachment, settings, tensors, weight: 0.5, name: id, classes };
}

const lora = { r: 2, lora_alpha: 2, scale: 1, lora_dropout: 0, use_rslora: false };

test('a cut sum keeps the shape of the whole one where it is wide, and tells what it keeps', async () => {
  const inputs = [input('lora', lora, ['a', 'b'], 1), input('lora', lora, ['b', 'c'], 9)];
  const whole = await mergeAdapters(model, inputs, null);
  const [cut, wide] = [await mergeAdapters(model, inputs, 1), await mergeAdapters(model, inputs, 1, true)];
  expect([whole.width, cut.width, wide.width]).toEqual([4, 1, 4]);
  expect(whole.classes).toEqual(['a', 'b', 'c']);
  expect(whole.energy).toBe(1);
  expect(cut.energy).toBeGreaterThan(0.3);
  expect(cut.energy).toBeLessThan(1);
  const shapes = (tensors: typeof whole.tensors) => [...tensors].map(([name, t]) => [name, t.shape]);
  expect(shapes(wide.tensors)).toEqual(shapes(whole.tensors));
});

test('a sum of two kinds is one of whole weights, which merge as they are', async () => {
  const inputs = [
    input('lora', lora, ['a', 'b'], 1),
    input('ia3', { feedforward_modules: [], scale: 1 }, [], 9),
  ];
  const sum = await mergeAdapters(model, inputs, null);
  expect(sum).toMatchObject({ form: 'weights', width: null, classes: ['a', 'b'] });
  expect(sum.onlyMerged).toMatch(/no adapter of one kind/);
  const attachment = sum.method.attach(model, sum.settings);
  const merged = await sum.method.merge!(attachment, sum.settings, sum.tensors, {} as never);
  expect([...merged.keys()].sort()).toEqual([...attachment.targets].sort());
  // The one without a head leaves the other's as it is.
  close(sum.tensors.get('classifier.bias')!.data, inputs[0].tensors.get('classifier.bias')!.data, 1e-6);
});

test('samples are scored among their own classes and among all', async () => {
  const samples = [
    { path: '0', label: 0, split: 'train' },
    { path: '1', label: 1, split: 'test' },
    { path: '2', label: 0, split: 'test' },
  ] as const;
  const asked: number[][] = [];
  const dataset: Dataset = {
    classes: ['b', 'c'],
    samples,
    hash: 'h',
    load: async (ids) => {
      asked.push([...ids]);
      return [];
    },
  };
  const held = new HeldOut(dataset, ['a', 'b', 'c']);
  expect([held.split, held.hash, held.samples.map((s) => s.label)]).toEqual(['test', 'h-test', [2, 1]]);
  await held.load([1], 32, null);
  expect(asked).toEqual([[2]]);
  // The first is right among b and c alone; the second among all.
  const logits = [Float32Array.of(9, 1, 2), Float32Array.of(0, 5, 4)];
  const { own, all } = await scoreHeldOut({ logits: async () => logits, startKnobs: () => ({}) }, held);
  expect([own.accuracy, all.accuracy]).toEqual([1, 0.5]);
});
