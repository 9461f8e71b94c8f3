import { beforeAll, describe, expect, test } from 'vitest';
import { sizeOf } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { evaluate, modelIn } from '../backbones/testing.ts';
import { bytesSource, readSafetensors } from '../checkpoints/safetensors.ts';
import type { Settings } from '../describe.ts';
import { formFiles, readForm } from '../exports/peftForm.ts';
import type { Model } from '../model.ts';
import { traceClassification } from '../tasks/index.ts';
import { strongest } from './math/sparse.ts';
import { mergedWeights } from './merge.ts';
import type { Base, Tensors } from './method.ts';
import { shira } from './shira.ts';
import { startValue } from './start.ts';

const PATHS = ['vit.layers.0.attention.q_proj', 'vit.layers.1.mlp.fc1'];
const base: Settings = { density: 2, mask: 'random', r: 0, rate: 1, scale: 1, target_modules: PATHS };

let model: Model;
let frozen: Base;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
  const shapeOf = (path: string) => model.modules.find((m) => m.path === path)!.shape;
  frozen = {
    weight: (path) => model.f32(path),
    inputMoments: async () => new Map(),
    gradients: async (paths) => new Map(paths.map((p, i) => [p, noise(sizeOf(shapeOf(p)), i + 9)])),
  };
});

/** The adapter with values, and masks as they start. */
async function started(settings: Settings) {
  const attachment = shira.attach(model, settings);
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [i, p] of attachment.parameters.entries())
    tensors.set(p.name, { shape: p.shape, data: noise(sizeOf(p.shape), i + 2) });
  for (const b of attachment.buffers ?? [])
    tensors.set(b.name, { shape: b.shape, data: await startValue(b, 1, frozen) });
  return { attachment, tensors: tensors as Tensors };
}

describe.each(['random', 'magnitude', 'gradient', 'snip', 'structured'])('a %s mask', (mask) => {
  test('has as many entries as the share says, and exactly those change', async () => {
    const settings = { ...base, mask };
    const { attachment, tensors } = await started(settings);
    const merged = await mergedWeights(shira, attachment, settings, tensors, frozen);
    for (const { path, indices, shape } of shira.masks!(attachment, tensors)) {
      expect(indices.length).toBe(Math.round(0.02 * shape[0] * shape[1]));
      const before = await model.f32(`${path}.weight`);
      const after = merged.get(`${path}.weight`)!;
      expect([...after.keys()].filter((i) => after[i] !== before[i])).toEqual([...indices]);
    }
  });
});

test('criteria choose what they say', async () => {
  const path = PATHS[0];
  const weight = await model.f32(`${path}.weight`);
  const gradient = (await frozen.gradients(PATHS)).get(path)!;
  for (const [mask, scores] of [
    ['magnitude', weight.map(Math.abs)],
    ['gradient', gradient.map(Math.abs)],
    ['snip', weight.map((w, i) => Math.abs(w * gradient[i]))],
  ] as const) {
    const { attachment, tensors } = await started({ ...base, mask });
    const { indices } = shira.masks!(attachment, tensors)[0];
    expect(indices).toEqual(strongest(scores, indices.length));
  }
});

describe('painting', () => {
  const part = { top: 2, left: 1, bottom: 9, right: 12 };
  const inPart = (i: number, columns: number) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    return row >= part.top && row < part.bottom && column >= part.left && column < part.right;
  };

  test.each(['out', 'in'] as const)('%s moves entries, and the program stays', async (mode) => {
    const { attachment, tensors } = await started({ ...base, density: 10 });
    const path = PATHS[0];
    const before = shira.masks!(attachment, tensors)[0];
    const painted = shira.paint!(attachment, tensors, { path, mode, part });
    const now = new Map(
      [...tensors].map(([n, t]) => [n, { ...t, data: painted.tensors.get(n) ?? t.data }] as const),
    );
    const after = shira.masks!(attachment, now)[0];
    const own = (m: typeof before) => [...m.indices].filter((i) => inPart(i, m.shape[1]));
    const count = before.indices.length;
    if (mode === 'out') {
      expect(own(before).length).toBeGreaterThan(0);
      expect([own(after).length, after.indices.length]).toEqual([0, count - own(before).length]);
    } else expect([own(after).length, after.indices.length]).toEqual([Math.min(77, count), count]);
    const moved = painted.fresh.get(`${path}.shira_weight`)!;
    const values = now.get(`${path}.shira_weight`)!.data;
    expect(moved.length).toBeGreaterThan(0);
    expect(moved.every((k) => values[k] === 0)).toBe(true);
    const kept = [...values.keys()].filter((k) => !moved.includes(k));
    expect(kept.every((k) => values[k] === tensors.get(`${path}.shira_weight`)!.data[k])).toBe(true);
    for (const [name, t] of now) expect(t.data.length).toBe(sizeOf(tensors.get(name)!.shape));
  });

  test('elsewhere is refused by name', async () => {
    const { attachment, tensors } = await started(base);
    const edit = { path: 'vit.layers.0.mlp.fc2', mode: 'in', part } as const;
    expect(() => shira.paint!(attachment, tensors, edit)).toThrow(/fc2/);
  });
});

describe('a mask chosen anew', () => {
  const renewal = { paths: [PATHS[0]], criterion: 'magnitude', density: 5, seed: 3 };
  const renewed = async (given: typeof renewal) => {
    const { attachment, tensors } = await started({ ...base, density: 10 });
    const made = await shira.renew!.masks(model, attachment, tensors, given, frozen);
    const now = new Map(
      [...tensors].map(([n, t]) => [n, { ...t, data: made.tensors.get(n) ?? t.data }] as const),
    );
    const masks = (t: Tensors) => shira.masks!(attachment, t).map((m) => m.indices);
    return { made, tensors, now, before: masks(tensors), after: masks(now) };
  };

  test('has the strongest entries at its density, and leaves other modules alone', async () => {
    const { before, after } = await renewed(renewal);
    const weight = await model.f32(`${PATHS[0]}.weight`);
    expect(after[0]).toEqual(strongest(weight.map(Math.abs), Math.round(weight.length * 0.05)));
    expect(after[1]).toEqual(before[1]);
  });

  test('keeps the values of entries that it shares with the old one', async () => {
    const { made, tensors, now } = await renewed({ ...renewal, criterion: 'random', density: 10 });
    const name = `${PATHS[0]}.shira_weight`;
    const moved = new Set(made.fresh.get(name));
    const [old, learnt] = [tensors.get(name)!.data, now.get(name)!.data];
    expect(moved.size).toBeGreaterThan(0);
    expect(moved.size).toBeLessThan(old.length);
    learnt.forEach((v, k) => {
      expect(v).toBe(moved.has(k) ? 0 : old[k]);
    });
  });

  test('is refused where it is denser than the run, of no known kind, or of no target', async () => {
    await expect(renewed({ ...renewal, density: 20 })).rejects.toThrow(/up to 9.96 %/);
    await expect(renewed({ ...renewal, criterion: 'best' })).rejects.toThrow(/snip/);
    await expect(renewed({ ...renewal, paths: ['vit.layers.0.mlp.fc2'] })).rejects.toThrow(/fc2/);
  });
});

test('its PEFT file has the same n = r (in + out) rule, whole numbers for indices, and gives the same logits', async () => {
  const { attachment, tensors } = await started(base);
  const content = await shira.peft!.write(attachment, base, tensors, frozen);
  const { weights, config } = formFiles(content, new Map());
  expect(config).toMatchObject({ peft_type: 'SHIRA', mask_type: 'random', r: 1 });
  const file = await readSafetensors(bytesSource(weights));
  for (const path of PATHS) {
    const [out, inputs] = model.modules.find((m) => m.path === path)!.shape;
    const key = `base_model.model.${path}`;
    expect(file.info(`${key}.shira_indices`)).toMatchObject({ dtype: 'I32', shape: [2, out + inputs] });
    expect(file.info(`${key}.shira_weight`)).toMatchObject({ dtype: 'F32', shape: [out + inputs] });
  }
  const read = await readForm(config, file, (name) => model.isHead(name));
  const restored = shira.peft!.read(read.content, model);
  const logitsOf = (settings: Settings, values: Tensors) => {
    const shape = { classes: 3, batch: 1, size: 32, labelSmoothing: 0, training: false };
    const { logits } = traceClassification(model, shira.attach(model, settings), shape);
    const at = new Map([...values].map(([n, t]) => [n, t.data] as const));
    const head = model.backbone.featureSize(model.config);
    at.set('classifier.weight', noise(3 * head, 4)).set('classifier.bias', noise(3, 5));
    const inputs = { pixels: noise(3 * 32 * 32, 1), 'knob:scale': Float32Array.of(1) };
    return evaluate(model, { logits }, inputs, at);
  };
  const own = await logitsOf(base, tensors);
  close((await logitsOf({ ...base, ...restored.settings }, restored.tensors)).logits, own.logits, 1e-5);
});

test('a share that a module has no room for is refused by name', () => {
  expect(() => shira.attach(model, { ...base, r: 200 })).toThrow(/q_proj.*lower rank/);
});
