import { beforeAll, describe, expect, test } from 'vitest';
import { type Gpu, State } from '../../gpu-shaders/index.ts';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { testGpu } from '../../gpu-shaders/testing/dawn.ts';
import { modelIn } from '../../models/backbones/testing.ts';
import { lora } from '../../models/methods/lora.ts';
import { openOnnx } from '../../tools/onnx/node.ts';
import { MemoryFiles } from '../storage/memory.ts';
import type { OnnxRuntime } from './ports.ts';
import { keepChoice, keptChoice, openPrefix, type PrefixOptions } from './prefix.ts';
import { frozenWeights, type RunShape } from './programs.ts';

const side = 32;
const none: OnnxRuntime = {
  open: async () => {
    throw new Error('It was not fetched.');
  },
};

describe('the frozen prefix', () => {
  let options: PrefixOptions;
  const machine = (software: boolean) =>
    ({ ...options.gpu, info: { ...options.gpu.info, software } }) as unknown as Gpu;

  beforeAll(async () => {
    const gpu = await testGpu();
    const model = await modelIn('tools/reference/fixtures/vit-tiny');
    const settings = {
      ...Object.fromEntries(lora.card.settings.map((s) => [s.key, s.default])),
      target_modules: ['vit.layers.1.attention.q_proj'],
      image_size: side,
      label_smoothing: 0,
    };
    const shape: RunShape = { model, attachment: lora.attach(model, settings), classes: 2, settings };
    const state = new State(gpu, []);
    for (const path of frozenWeights(shape)) state.setFrozen(path, await model.load(path));
    options = { gpu, state, shape };
  });

  test('gives the same values on the processor, for any number of pictures', async () => {
    const onnx = openOnnx();
    const processor = await openPrefix({ ...options, onnx, place: 'processor' });
    const gpu = await openPrefix({ ...options, onnx, place: 'gpu' });
    expect(processor.rows).toEqual(gpu.rows);
    expect(processor.choice.by).toMatch(/^ONNX Runtime \d+\.\d+/);
    const samples = [1, 2, 3].map((seed) => ({ pixels: noise(3 * side * side, seed) }));
    const [found, expected] = [await processor.compute(samples), await gpu.compute(samples)];
    expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, values] of expected) {
      const largest = Math.max(...values.map(Math.abs));
      const off = Math.max(...values.map((v, i) => Math.abs(v - found.get(name)![i])));
      expect(found.get(name)!.length, name).toBe(values.length);
      expect(off / largest, name).toBeLessThan(1e-5);
    }
    processor.destroy();
    gpu.destroy();
  });

  test('is computed where it is faster, unless a run has begun elsewhere', async () => {
    const onnx: OnnxRuntime = {
      open: async () => ({ by: 'a runtime', run: async () => ({}), close: async () => undefined }),
    };
    const placeOn = async (software: boolean, more: Partial<PrefixOptions> = {}) => {
      const prefix = await openPrefix({ ...options, gpu: machine(software), onnx, ...more });
      prefix.destroy();
      return prefix.choice;
    };
    expect((await placeOn(true)).place).toBe('processor');
    expect((await placeOn(false)).place).toBe('gpu');
    expect((await placeOn(false, { place: 'processor' })).place).toBe('processor');
    expect((await placeOn(true, { place: 'gpu' })).place).toBe('gpu');
    expect(await placeOn(true, { onnx: none })).toMatchObject({
      place: 'gpu',
      because: 'It was not fetched.',
    });
    await expect(placeOn(true, { onnx: none, place: 'processor' })).rejects.toThrow('not fetched');
  });

  test('keeps the choice that a run began with', async () => {
    const files = new MemoryFiles();
    expect(await keptChoice(files, 'runs/a')).toBeNull();
    await keepChoice(files, 'runs/a', { place: 'processor', by: 'x' });
    await keepChoice(files, 'runs/a', { place: 'gpu', by: 'y' });
    expect(await keptChoice(files, 'runs/a')).toEqual({ place: 'processor', by: 'x' });
  });
});
