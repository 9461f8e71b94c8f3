import { beforeAll, describe, expect, test } from 'vitest';
import { sizeOf } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import { adaptformer } from './adaptformer.ts';
import { addAdapters, addHeads, addSparse, addWeights, formOf, type Part, sharedEntries } from './combine.ts';
import { ia3 } from './ia3.ts';
import { lora } from './lora.ts';
import { mergedWeights } from './merge.ts';
import type { Base, Method } from './method.ts';
import { shira } from './shira.ts';
import { startValue } from './start.ts';

let model: Model;
let base: Base;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
  base = {
    weight: (path) => model.f32(path),
    inputMoments: async () => new Map(),
    gradients: async () => new Map(),
  };
});

const targets = [
  ['q_proj', 'v_proj'],
  ['q_proj', 'fc1'],
];

/** A trained adapter with a head of three classes. */
async function part(method: Method, own: Settings, weight: number, seed: number): Promise<Part> {
  const settings = { ...own, target_modules: targets[seed % 2] };
  const attachment = method.attach(model, settings);
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [i, p] of attachment.parameters.entries())
    tensors.set(p.name, { shape: p.shape, data: noise(sizeOf(p.shape), 10 * seed + i) });
  for (const b of attachment.buffers ?? [])
    tensors.set(b.name, { shape: b.shape, data: await startValue(b, seed, base) });
  const width = model.backbone.featureSize(model.config);
  tensors.set('classifier.weight', { shape: [3, width], data: noise(3 * width, seed + 50) });
  tensors.set('classifier.bias', { shape: [3], data: noise(3, seed + 60) });
  return { method, attachment, settings, tensors, weight, name: `adapter ${seed}` };
}

const low = { lora_alpha: 6, scale: 0.5, lora_dropout: 0, use_rslora: false };
const sparse = { density: 2, mask: 'random', r: 0, rate: 1, scale: 1 };

/** Every weight of the sum, as whole weights and as the adapter it makes. */
async function both(parts: Part[], rank: number | null = null) {
  const { method, settings, tensors } = addAdapters(parts, model, rank);
  const attachment = method.attach(model, settings);
  return {
    plain: await addWeights(parts, base),
    adapter: await mergedWeights(method, attachment, settings, tensors, base),
    settings,
  };
}

describe('low rank', () => {
  test('the sum has the ranks of both, and is exact', async () => {
    const parts = [
      await part(lora, { ...low, r: 3 }, 0.7, 1),
      await part(lora, { ...low, r: 2, lora_alpha: 1 }, -0.4, 2),
    ];
    expect(formOf(parts)).toBe('low-rank');
    const { plain, adapter, settings } = await both(parts);
    expect(settings.r).toBe(5);
    expect([...adapter.keys()].sort()).toEqual([...plain.keys()].sort());
    for (const [path, w] of plain) close(adapter.get(path)!, w, 1e-5, path);
  });

  test('cut to a rank, it has that rank and is no farther off than the part cut away', async () => {
    const parts = [await part(lora, { ...low, r: 3 }, 1, 2), await part(lora, { ...low, r: 3 }, 1e-4, 4)];
    const { plain, adapter, settings } = await both(parts, 3);
    expect(settings.r).toBe(3);
    for (const [path, w] of plain) close(adapter.get(path)!, w, 1e-3, path);
  });
});

test('of sparse adapters the values add up at the union of the entries', async () => {
  const parts = [await part(shira, sparse, 0.5, 1), await part(shira, sparse, 2, 3)];
  expect(formOf(parts)).toBe('sparse');
  const { plain, adapter } = await both(parts);
  for (const [path, w] of plain) close(adapter.get(path)!, w, 1e-6, path);
  const [one, other] = parts.map((p) => p.method.toSparse!(p.attachment, p.settings, p.tensors)[0]);
  const union = new Set([...one.positions, ...other.positions]);
  expect([...addSparse(parts)[0].positions]).toEqual([...union].sort((a, b) => a - b));
  expect(sharedEntries(parts)).toBeGreaterThan(0);
  expect(sharedEntries(parts)).toBeLessThan(0.1);
});

test('adapters of two kinds add up as whole weights alone', async () => {
  const parts = [
    await part(lora, { ...low, r: 3 }, 0.5, 1),
    await part(ia3, { feedforward_modules: [], scale: 1 }, 0.5, 2),
  ];
  expect(formOf(parts)).toBe('weights');
  expect(() => addAdapters(parts, model)).toThrow(/LoRA and \(IA\)³.*merged model/);
  const sum = await addWeights(parts, base);
  const path = 'vit.layers.0.attention.q_proj.weight';
  const [w, a, b] = [
    await base.weight(path),
    ...(await Promise.all(
      parts.map(
        async (p) => (await mergedWeights(p.method, p.attachment, p.settings, p.tensors, base)).get(path)!,
      ),
    )),
  ];
  close(
    sum.get(path)!,
    w.map((x, i) => x + 0.5 * (a[i] - x) + 0.5 * (b[i] - x)),
    1e-6,
  );
});

test('what is no change of weights is refused with its reason', async () => {
  const own = { bottleneck: 4, scale: 1, placement: 'parallel', last_blocks: 0, adapter_dropout: 0 };
  const parts = [await part(adaptformer, own, 1, 1), await part(lora, { ...low, r: 1 }, 1, 2)];
  expect(() => formOf(parts)).toThrow(/"adapter 1" cannot be added.*nonlinearity/);
});

test('a class has the mean of the heads that know it', async () => {
  const parts = [await part(lora, { ...low, r: 1 }, 3, 1), await part(lora, { ...low, r: 1 }, 1, 2)];
  const lists = [
    ['a', 'b', 'c'],
    ['c', 'd', 'a'],
  ];
  const head = addHeads(parts, lists, 'classifier');
  const [one, other] = parts.map((p) => p.tensors.get('classifier.bias')!.data);
  expect(head.get('classifier.bias')!.shape).toEqual([4]);
  close(
    head.get('classifier.bias')!.data,
    Float32Array.of(0.75 * one[0] + 0.25 * other[2], one[1], 0.75 * one[2] + 0.25 * other[0], other[1]),
    1e-6,
  );
  expect(head.get('classifier.weight')!.shape[0]).toBe(4);
});
