import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openFolder } from '../models/checkpoints/folder.ts';
import { bytesSource } from '../models/checkpoints/safetensors.ts';
import { methods } from '../models/methods/index.ts';
import { openModel } from '../models/open.ts';
import { completeSettings, defaultSettings, SettingsError, settingsOf } from './settings.ts';

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
        const attachment = method.attach(model, settings);
        expect(attachment.targets.length > 0).toBe(method.card.id !== 'linear-probe');
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

test('at most five settings of a form are in sight', () => {
  for (const method of methods)
    expect(settingsOf(method).filter((s) => s.primary).length).toBeLessThanOrEqual(5);
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
