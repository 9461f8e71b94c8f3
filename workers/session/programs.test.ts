import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openFolder } from '../../models/checkpoints/folder.ts';
import { bytesSource } from '../../models/checkpoints/safetensors.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import { openModel } from '../../models/open.ts';
import { completeSettings, defaultSettings } from '../settings.ts';
import { costsOf, type RunShape } from './programs.ts';

const LIMIT = 2 ** 30;

async function lora(given: Settings, rest: Partial<RunShape> = {}): Promise<RunShape> {
  const read = (f: string) =>
    [f, bytesSource(readFileSync(`tools/reference/fixtures/vit-tiny/${f}`))] as const;
  const files = ['config.json', 'model.safetensors', 'preprocessor_config.json'].map(read);
  const model = openModel(await openFolder(new Map(files)));
  const method = methodById('lora');
  const all = { batch_size: 512, image_size: 32, target_modules: ['q_proj', 'v_proj'], ...given };
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
