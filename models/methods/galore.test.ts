import { beforeAll, describe, expect, test } from 'vitest';
import { sizeOf } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import { exportErrors, galore, galoreDelta, stateFloats } from './galore.ts';
import { matrixOf } from './math/matrix.ts';
import { svd } from './math/svd.ts';
import { addProduct } from './merge.ts';
import type { Base, LiveTensors, Tensors } from './method.ts';
import { startValue } from './start.ts';

// One taller than it is wide, one wider than tall.
const PATHS = ['vit.layers.0.mlp.fc1', 'vit.layers.0.mlp.fc2'];
const settings: Settings = {
  r: 4,
  update_proj_gap: 3,
  galore_scale: 1,
  export_rank: 0,
  scale: 1,
  target_modules: PATHS,
};

let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

const shapeOf = (path: string) => model.modules.find((m) => m.path === path)!.shape;

/** The gradient of a weight after `step` steps, whatever the weight is. */
const gradientAt = (path: string, step: number) =>
  noise(sizeOf(shapeOf(path)), 31 * step + 7 * PATHS.indexOf(path) + 1);

/**
 * SGD on the declared tensors against a known course of gradients G of the whole weight: the gradient of the step is G Pᵀ
 * or Pᵀ G, as the layer's algebra has it.
 */
async function descend(given: Settings, steps: number, lr: number) {
  const attachment = galore.attach(model, given);
  const base: Base = {
    weight: (path) => model.f32(path),
    inputMoments: async () => new Map(),
    gradients: async (paths) => new Map(paths.map((p) => [p, gradientAt(p, 0)])),
  };
  const values = new Map<string, Float32Array>();
  for (const t of [...attachment.parameters, ...attachment.buffers!])
    values.set(t.name, await startValue(t, 1, base));
  let state = 1;
  for (let step = 0; step < steps; step++) {
    const live: Partial<LiveTensors> = {
      read: async (name) => values.get(name)!,
      write: (name, data) => values.set(name, data),
      gradients: async (names) =>
        new Map(names.map((n) => [n, gradientAt(n.replace(/\.galore_delta$/, ''), step)])),
      draw: () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32;
      },
    };
    if (attachment.refresh!.due({ step, steps, epochSteps: 1 }))
      await attachment.refresh!.apply(live as LiveTensors);
    for (const path of PATHS) {
      const [out, inputs] = shapeOf(path);
      const g = gradientAt(path, step);
      const p = values.get(`${path}.galore_projection`)!;
      const c = values.get(`${path}.galore_step`)!;
      const r = given.r as number;
      for (let i = 0; i < out; i++)
        for (let j = 0; j < inputs; j++)
          for (let k = 0; k < r; k++)
            if (out < inputs) c[k * inputs + j] -= lr * p[i * r + k] * g[i * inputs + j];
            else c[i * r + k] -= lr * p[k * inputs + j] * g[i * inputs + j];
    }
  }
  const tensors: Tensors = new Map(
    [...attachment.parameters, ...attachment.buffers!].map((t) => [
      t.name,
      { shape: t.shape, data: values.get(t.name)! },
    ]),
  );
  return { attachment, tensors };
}

test('with all directions it is SGD on the whole weight', async () => {
  const r = Math.min(...shapeOf(PATHS[0]));
  const { tensors } = await descend({ ...settings, r }, 7, 0.1);
  for (const path of PATHS) {
    const plain = new Float32Array(sizeOf(shapeOf(path)));
    for (let step = 0; step < 7; step++) {
      const g = gradientAt(path, step);
      for (let i = 0; i < plain.length; i++) plain[i] -= 0.1 * g[i];
    }
    close(galoreDelta(path, tensors), plain, 1e-5);
  }
});

describe('after three subspaces', () => {
  test('the rank of what was learnt is theirs together, not one', async () => {
    const { tensors } = await descend(settings, 9, 0.1);
    for (const path of PATHS) {
      const { values } = svd(matrixOf({ shape: shapeOf(path), data: galoreDelta(path, tensors) }));
      expect(values.filter((v) => v > 1e-5 * values[0]).length).toBe(12);
    }
  });

  test('the file holds all of it, or says what it leaves out', async () => {
    const { attachment, tensors } = await descend(settings, 9, 0.1);
    for (const [rank, most] of [
      [0, 0],
      [12, 1e-5],
      [4, 1],
    ]) {
      const given = { ...settings, export_rank: rank };
      const updates = galore.toLowRank!(attachment, given, tensors);
      const errors = exportErrors(attachment, given, tensors);
      for (const update of updates) {
        const whole = galoreDelta(update.path, tensors);
        const left = addProduct(whole, { ...update, scale: -update.scale });
        const norm = (x: Float32Array) => Math.hypot(...x);
        expect(norm(left) / norm(whole)).toBeCloseTo(errors.get(update.path)!, 5);
        expect(errors.get(update.path)!).toBeLessThanOrEqual(most);
        if (rank === 4) expect(errors.get(update.path)!).toBeGreaterThan(0.1);
      }
    }
  });
});

test('what the optimiser keeps is 2 r max + r min, a fraction of Adam’s', () => {
  const found = stateFloats(
    [
      [192, 768],
      [192, 192],
    ],
    8,
  );
  expect(found).toEqual({
    galore: 2 * 8 * 768 + 8 * 192 + 2 * 8 * 192 + 8 * 192,
    adam: 2 * (192 * 768 + 192 * 192),
  });
  expect(found.galore / found.adam).toBeLessThan(0.4);
});

test('it acts after every so many steps, and not before the first', () => {
  const { due } = galore.attach(model, settings).refresh!;
  const at = [0, 1, 2, 3, 4, 5, 6].filter((step) => due({ step, steps: 7, epochSteps: 2 }));
  expect(at).toEqual([3, 6]);
});

test('more directions than a layer has are refused by name', () => {
  expect(() => galore.attach(model, { ...settings, r: 1000 })).toThrow(/fc1/);
});
