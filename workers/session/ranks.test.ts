import { beforeAll, expect, test } from 'vitest';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../../models/backbones/testing.ts';
import { linearProbe } from '../../models/methods/linearProbe.ts';
import { lora } from '../../models/methods/lora.ts';
import { lowRankSpectrum } from '../../models/methods/math/lowRank.ts';
import type { Method, Tensors } from '../../models/methods/method.ts';
import type { Model } from '../../models/model.ts';
import { previewCut, withRanks } from './ranks.ts';

const settings = { r: 4, lora_alpha: 8, scale: 1, lora_dropout: 0, target_modules: ['q_proj', 'v_proj'] };
let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

/** What is cut, without a GPU: tensors in a map, and a first picture that is right while they are whole. */
function cuttable(method: Method = lora) {
  const attachment = method.attach(model, settings);
  const tensors = new Map(
    attachment.parameters.map((p, i) => [
      p.name,
      noise(
        p.shape.reduce((a, b) => a * b, 1),
        i + 1,
      ),
    ]),
  );
  const whole = new Map(tensors);
  return {
    tensors,
    whole,
    attachment,
    options: {
      method,
      model,
      settings,
    },
    state: {
      writeTensors(news: ReadonlyMap<string, Float32Array>) {
        for (const [name, data] of news) tensors.set(name, data);
      },
    },
    samplesOf: (split: string) => (split === 'test' ? [0] : []),
    evaluate: async () => ({
      loss: 1,
      hits: Number([...tensors].every(([name, data]) => data === whole.get(name))),
      of: 1,
    }),
    trained: async (): Promise<Tensors> =>
      new Map(attachment.parameters.map((p) => [p.name, { shape: p.shape, data: tensors.get(p.name)! }])),
  };
}

test('stands cut while it is worked with, and is put back to the bit', async () => {
  const session = cuttable();
  const [first, second] = session.attachment.targets;
  await withRanks(session, { [first]: 2 }, async () => {
    const trained = await session.trained();
    const spectrum = (path: string) =>
      lowRankSpectrum(trained.get(`${path}.lora_A.weight`)!, trained.get(`${path}.lora_B.weight`)!, 2);
    expect(spectrum(first).filter((s) => s > 1e-4)).toHaveLength(2);
    expect(spectrum(second).filter((s) => s > 1e-4)).toHaveLength(4);
  });
  expect(session.tensors).toEqual(session.whole);
  const failing = withRanks(session, { [first]: 1 }, () => Promise.reject(new Error('lost')));
  await expect(failing).rejects.toThrow('lost');
  expect(session.tensors).toEqual(session.whole);
});

test('a preview tells score, size and energy; less is kept at lower ranks', async () => {
  const session = cuttable();
  const cut = (rank: number) =>
    previewCut(session, {}, Object.fromEntries(session.attachment.targets.map((t) => [t, rank])));
  const [whole, half, none] = [await cut(4), await cut(2), await cut(0)];
  expect(whole).toMatchObject({ split: 'test', score: { accuracy: 1, n: 1 }, energy: 1 });
  expect(half.score?.accuracy).toBe(0);
  expect(half.energy).toBeLessThan(1);
  expect(half.energy).toBeGreaterThan(0.5);
  expect(none.energy).toBeCloseTo(0, 6);
  expect(half.fileBytes).toBeLessThan(whole.fileBytes);
});

test('a method without factors says that it has no ranks', async () => {
  const cutting = withRanks(cuttable(linearProbe), {}, async () => undefined);
  await expect(cutting).rejects.toThrow(/no ranks/);
});
