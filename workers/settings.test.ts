import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openFolder } from '../models/checkpoints/folder.ts';
import { bytesSource } from '../models/checkpoints/safetensors.ts';
import { methods } from '../models/methods/index.ts';
import { MethodError } from '../models/methods/method.ts';
import { openModel } from '../models/open.ts';
import { completeSettings, defaultSettings, SettingsError } from './settings.ts';

const open = async (folder: string) =>
  openModel(
    await openFolder(
      new Map(
        ['config.json', 'model.safetensors', 'preprocessor_config.json'].map((f) => [
          f,
          bytesSource(readFileSync(`${folder}/${f}`)),
        ]),
      ),
    ),
  );

/** Methods that have nothing to attach to in a backbone. */
const refused: Record<string, string[]> = {
  'models/weights/efficientnet-lite0': ['ln-tuning', 'prompt-tuning', 'prefix-tuning', 'p-adapter'],
};

describe('defaults', () => {
  test.each([
    'models/weights/efficientnet-lite0',
    'models/weights/vit-s14-saliency',
    'tools/reference/fixtures/vit-tiny',
  ])('of every method are valid on %s, and attach', async (folder) => {
    const model = await open(folder);
    for (const method of methods)
      for (const pictures of [1, 7, 100, 5000]) {
        const defaults = defaultSettings(method, model, pictures);
        const settings = completeSettings(method, {}, defaults);
        expect(settings).toEqual(defaults);
        const refusals = refused[folder] ?? [];
        if (refusals.includes(method.card.id)) {
          expect(() => method.attach(model, settings), method.card.id).toThrow(MethodError);
          continue;
        }
        const { parameters } = method.attach(model, settings);
        expect(parameters.length > 0, method.card.id).toBe(method.card.id !== 'linear-probe');
      }
  });

  test('give small sets about 200 steps, and large ones no more epochs than they need', async () => {
    const model = await open('models/weights/efficientnet-lite0');
    const steps = (pictures: number) => {
      const s = defaultSettings(methods[0], model, pictures);
      return Math.round(((s.epochs as number) * pictures) / (s.batch_size as number));
    };
    expect(steps(600)).toBeGreaterThan(150);
    expect(steps(600)).toBeLessThan(250);
    expect(defaultSettings(methods[0], model, 600)).toMatchObject({ lr: 3e-3, r: 8, batch_size: 32 });
    expect(defaultSettings(methods[0], model, 50_000).epochs).toBe(3);
    expect(defaultSettings(methods[0], model, 10).batch_size).toBe(10);
  });
});

test("of the five settings in sight at most four are the method's own, so that the rate is among them", () => {
  for (const method of methods)
    expect(method.card.settings.filter((s) => s.primary).length, method.card.id).toBeLessThanOrEqual(4);
});

test('wrong settings are refused with what would be right', async () => {
  const defaults = defaultSettings(methods[0], await open('tools/reference/fixtures/vit-tiny'), 10);
  const complete = (given: Record<string, number | string | boolean | string[]>) => () =>
    completeSettings(methods[0], given, defaults);
  expect(complete({ rank: 8 })).toThrow(/no setting 'rank'.*lora_alpha/);
  expect(complete({ r: 2.5 })).toThrow(/whole number/);
  expect(complete({ r: 0 })).toThrow(/1 to 256/);
  expect(complete({ lr: Number.NaN })).toThrow(SettingsError);
  expect(complete({ schedule: 'step' })).toThrow(/constant, linear, cosine/);
  expect(complete({ target_modules: 'q_proj' })).toThrow(/list of module names/);
});
