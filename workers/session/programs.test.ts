import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { add, constant, isInput, nodesOf, type Tensor } from '../../gpu-shaders/index.ts';
import { openFolder } from '../../models/checkpoints/folder.ts';
import { bytesSource } from '../../models/checkpoints/safetensors.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import type { Model } from '../../models/model.ts';
import { openModel } from '../../models/open.ts';
import { completeSettings, defaultSettings } from '../settings.ts';
import { costsOf, liveTrace, prefixKey, prefixOutputs, type RunShape, restingTrace } from './programs.ts';

const LIMIT = 2 ** 30;

const lora = (given: Settings, rest: Partial<RunShape> = {}) =>
  shapeOf('lora', { target_modules: ['q_proj', 'v_proj'], ...given }, rest);

async function shapeOf(id: string, given: Settings, rest: Partial<RunShape> = {}): Promise<RunShape> {
  const read = (f: string) =>
    [f, bytesSource(readFileSync(`tools/reference/fixtures/vit-tiny/${f}`))] as const;
  const files = ['config.json', 'model.safetensors', 'preprocessor_config.json'].map(read);
  const model = openModel(await openFolder(new Map(files)));
  const method = methodById(id);
  const all = { batch_size: 512, image_size: 32, ...given };
  const settings = completeSettings(method, all, defaultSettings(method, model, 40));
  return { model, attachment: method.attach(model, settings), classes: 3, settings, ...rest };
}

describe('costs of a run', () => {
  test('under a memory limit: less memory, more arithmetic, nothing else', async () => {
    const free = costsOf(await lora({}), LIMIT);
    const megabytes = Math.floor((0.9 * free.arenaBytes) / 1e6);
    const limited = costsOf(await lora({ memory_limit: megabytes }), LIMIT);
    expect(limited.arenaBytes).toBeLessThanOrEqual(megabytes * 1e6);
    expect(limited.stepFlops).toBeGreaterThan(free.stepFlops);
    expect(limited.recomputedFlops).toBe(limited.stepFlops - free.stepFlops);
    const same = { arenaBytes: 0, stepFlops: 0, recomputedFlops: 0 };
    expect({ ...limited, ...same }).toEqual({ ...free, ...same });
    await expect(lora({ memory_limit: 1 }).then((shape) => costsOf(shape, LIMIT))).rejects.toThrow(
      /at least \d+ MB/,
    );
  });

  test('without a prefix every step computes what is frozen, and pixels are what is kept', async () => {
    const cached = costsOf(await lora({}), LIMIT);
    const whole = costsOf(await lora({}, { optimise: { prefix: false } }), LIMIT);
    expect(whole.prefixFlops).toBe(0);
    expect(whole.stepFlops).toBeGreaterThan(cached.stepFlops);
    expect(whole.cacheBytesPerSample).toBe(3 * 32 * 32 * 4);
  });
});

test('constants are told apart by what they hold', async () => {
  const shape = await lora({});
  const shifted = (by: number): RunShape => {
    const trace: Model['trace'] = (read, interceptions) =>
      shape.model.trace(
        { pixels: add(read.pixels, constant(Float32Array.of(by, 0, 0), [3, 1, 1])) },
        interceptions,
      );
    return { ...shape, model: Object.create(shape.model, { trace: { value: trace } }) };
  };
  expect(prefixKey(shifted(1))).toBe(prefixKey(shifted(1)));
  expect(prefixKey(shifted(1))).not.toBe(prefixKey(shifted(2)));
  expect(prefixKey(shape)).toMatch(/^[0-9a-f]{16}$/);
});

test.each([
  ['lora', { target_modules: ['q_proj', 'v_proj'] }],
  ['mosa', { last_blocks: 1 }],
  ['vl-adapter', { last_blocks: 1, sharing: 'multiple' }],
])('training and evaluation of %s read the same cached rows', async (id, given) => {
  const batch = 4;
  const shape = await shapeOf(id, { ...given, batch_size: batch });
  const rows = (t: Tensor) =>
    new Map(
      nodesOf([t])
        .map((node) => node.outputs[0])
        .filter((x) => isInput(x) && `${x.node.attrs.name}`.startsWith('cut:'))
        .map((x) => [x.node.attrs.name as string, `${x.shape}`] as const),
    );
  const { features: _, ...made } = prefixOutputs(shape, batch);
  const prefix = new Map(Object.entries(made).map(([name, t]) => [name, `${t.shape}`] as const));
  expect(rows(liveTrace(shape).loss)).toEqual(prefix);
  const resting = rows(restingTrace(shape, batch).logits);
  expect(resting.size).toBeGreaterThan(0);
  for (const [name, size] of resting) expect(size, name).toBe(prefix.get(name));
});
