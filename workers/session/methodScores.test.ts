import { expect, test } from 'vitest';
import { modelIn } from '../../models/backbones/testing.ts';
import { methodById } from '../../models/methods/index.ts';
import { MethodError } from '../../models/methods/method.ts';
import { costOfUse } from './costOfUse.ts';
import { accuracyAtEveryRank } from './everyRank.ts';
import { taskScores } from './tasks.ts';

const none = { targets: [], parameters: [], intercept: () => ({}) };
const dataset = {
  classes: ['a', 'b', 'c', 'd', 'e'],
  samples: [0, 1, 2, 3, 4].map((label) => ({ path: `${label}`, label, split: 'test' as const })),
};
const samples = [0, 1, 2, 3, 4];

test('every rank is asked for by the knob alone', async () => {
  const asked: Record<string, number>[] = [];
  const session = {
    attachment: { ...none, knobs: [{ name: 'rank', value: 3 }] },
    options: { settings: { r: 3 } },
    evaluate: async (_: readonly number[], knobs: Record<string, number>) => {
      asked.push(knobs);
      return { loss: 1 / knobs.rank, hits: knobs.rank, of: 5 };
    },
  };
  const points = await accuracyAtEveryRank(session, samples, { lr: 1, rank: 2 });
  expect(points.map((p) => p.accuracy)).toEqual([0.2, 0.4, 0.6]);
  expect(asked.map((k) => [k.lr, k.rank])).toEqual([
    [1, 1],
    [1, 2],
    [1, 3],
  ]);
  const single = { ...session, attachment: { ...none, knobs: [] } };
  await expect(accuracyAtEveryRank(single, samples, {})).rejects.toThrow(MethodError);
});

test('a task is scored on its own samples, among its own classes', async () => {
  const session = {
    attachment: { ...none, knobs: [{ name: 'task', value: 0 }] },
    // biome-ignore lint/suspicious/noExplicitAny: only the samples are read
    options: { settings: { tasks: 2 }, dataset: dataset as any },
    // The largest logit is always of class 1; of the first task's classes 0, 2, 4 it is of class 2.
    logits: async (own: readonly number[], { task }: Record<string, number>) =>
      own.map(() => Float32Array.of(0, 9, 1, 2, task === 1 ? 0.5 : 8)),
  };
  expect(await taskScores(session, samples, {})).toEqual([
    { task: 1, samples: 3, hits: 1 },
    { task: 2, samples: 2, hits: 1 },
  ]);
});

test('an adapter that stays beside its branches costs its two products a position', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const settings = { bottleneck: 4, scale: 1, placement: 'parallel', last_blocks: 0, adapter_dropout: 0 };
  const attachment = methodById('adaptformer').attach(model, settings);
  const shape = { model, attachment, classes: 3, settings: { ...settings, image_size: 32 } };
  const { frozen, adapted } = costOfUse(shape, 2 ** 27);
  const tokens = 1 + (32 / (model.config as { patch: number[] }).patch[0]) ** 2;
  // The last block is computed for the class token alone.
  expect(adapted - frozen).toBe(2 * 2 * 32 * 4 * (tokens * (model.blocks - 1) + 1));
});
