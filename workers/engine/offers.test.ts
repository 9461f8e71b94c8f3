import { describe, expect, test } from 'vitest';
import { modelIn } from '../../models/backbones/testing.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import { classification } from '../../models/tasks/index.ts';
import { completeSettings, defaultSettings } from '../settings.ts';
import { estimateOf } from './estimate.ts';
import { offersOf } from './offers.ts';

const data = { classes: 3, counts: { train: 400, val: 50, test: 50 }, task: classification };
const machine = { limit: 2 ** 27, speed: { prefix: null, step: null }, emulated: false };

async function planOf(given: Settings, limit = machine.limit) {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const method = methodById('lora');
  const settings = completeSettings(
    method,
    { batch_size: 64, image_size: 32, target_modules: ['q_proj', 'v_proj'], ...given },
    defaultSettings(method, model, 400),
  );
  return estimateOf({ model, method, settings }, data, { ...machine, limit });
}

describe('an estimate', () => {
  test('that fits has no problem and offers nothing', async () => {
    expect(await planOf({})).toMatchObject({ problem: null, offers: [] });
  });

  test('that does not fit says why, what it would take, and what would fit', async () => {
    const whole = await planOf({});
    const largest = 150_000;
    const { problem, offers, memory } = await planOf({}, largest);
    expect(problem).toMatch(/intermediate value.*binds at most/);
    expect(memory).toEqual(whole.memory);
    expect(offers.map((o) => Object.keys(o.settings)[0])).toContain('accumulate');
    expect(offers.map((o) => Object.keys(o.settings)[0])).toContain('batch_size');
    for (const offer of offers) {
      const taken = await planOf(offer.settings, largest);
      expect([offer.label, taken.problem, taken.memory.total]).toEqual([offer.label, null, offer.total]);
    }
  });

  test('under a memory limit that cannot be kept offers to lift it', async () => {
    const { problem, offers } = await planOf({ memory_limit: 1, batch_size: 512 });
    expect(problem).toMatch(/at least \d+ MB/);
    expect(offers).toContainEqual(expect.objectContaining({ settings: { memory_limit: 0 } }));
  });

  test('counts frozen weights in the form that the run holds them in', async () => {
    const [f32, int8, nf4] = [
      await planOf({}),
      await planOf({ weights: 'int8' }),
      await planOf({ weights: 'nf4' }),
    ];
    expect(int8.memory.weights).toBeLessThan(0.6 * f32.memory.weights);
    expect(nf4.memory.weights).toBeLessThan(int8.memory.weights);
    expect(nf4.memory.activations).toBe(f32.memory.activations);
  });
});

test('a heavy run is offered the mildest change of each kind that saves a fifth', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const asked: Settings[] = [];
  const offers = offersOf({
    model,
    settings: { batch_size: 8, image_size: 48 },
    total: 100,
    activations: 60e6,
    totalOf(s) {
      asked.push(s);
      return s.weights
        ? 90
        : 100 / ((s.accumulate as number) || 1) - ((s.batch_size as number) < 4 ? 60 : 10);
    },
  });
  expect(offers.map((o) => o.settings)).toEqual([{ accumulate: 2 }, { batch_size: 2 }]);
  expect(asked).toContainEqual({ batch_size: 8, image_size: 48, weights: 'nf4' });
});
