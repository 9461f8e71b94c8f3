import 'fake-indexeddb/auto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bytesSource } from '../../models/checkpoints/bytes.ts';
import { readZip } from '../../models/data/zip.ts';
import type { RunPlan } from '../protocol.ts';
import { browser, fetchFile, pets, type Tab, until } from './testing.ts';

vi.setConfig({ testTimeout: 60_000 });

beforeAll(() => {
  vi.stubGlobal('fetch', fetchFile);
});
afterAll(() => {
  vi.unstubAllGlobals();
});

async function planned({ engine }: Tab): Promise<RunPlan> {
  const taken = await engine.take(pets(20));
  if (taken.kind !== 'dataset') throw new Error(taken.sentence);
  const settings = { image_size: 64, epochs: 4, batch_size: 4 };
  return { dataset: taken.dataset.id, backbone: 'efficientnet-lite0', method: 'linear-probe', settings };
}

async function trained({ engine, events }: Tab, plan: RunPlan): Promise<string> {
  const { id } = await engine.createRun(plan);
  await until(() =>
    events.some((e) => e.kind === 'run' && e.run.id === id && /done|failed/.test(e.run.state)),
  );
  return id;
}

test('two runs are added, scored on their own pictures, written as an adapter and as a model', async () => {
  const tab = await (await browser('merging')).tab();
  const plan = await planned(tab);
  const one = await trained(tab, plan);
  const other = await trained(tab, { ...plan, settings: { ...plan.settings, seed: 5, lr: 0.002 } });
  const parts = [
    { run: one, weight: 0.5 },
    { run: other, weight: 0.25 },
  ];
  const merged = await tab.engine.previewMerge(parts, null);
  expect(merged).toMatchObject({ form: 'low-rank', onlyMerged: null, classes: ['cat', 'dog'], energy: 1 });
  expect(merged.scores.map((s) => [s.run, s.split, s.own.n])).toEqual([
    [one, 'test', 6],
    [other, 'test', 6],
  ]);
  const [run] = (await tab.engine.runs()).filter(({ id }) => id === one);
  expect(merged.scores[0].alone).toEqual(run.test);
  expect(merged.scores[0].own.accuracy).toBe(1);
  const { name, file } = await tab.engine.exportMerge(parts, { as: 'adapter', rank: null });
  const back = await tab.engine.take([{ path: name, file: new File([file], name) }]);
  expect(back).toMatchObject({ kind: 'adapter', run: { classes: ['cat', 'dog'] } });
  const model = await tab.engine.exportMerge(parts, { as: 'model', rank: null });
  const zip = await readZip(bytesSource(new Uint8Array(await model.file.arrayBuffer())), model.name);
  expect(zip.entries.map((e) => e.path).sort()).toEqual([
    'README.md',
    'config.json',
    'labels.json',
    'model.safetensors',
    'preprocessor_config.json',
  ]);
  expect((await tab.engine.exportMerged(one)).name).toBe('linear-probe-on-pets-model.zip');
  await expect(tab.engine.previewMerge([parts[0], parts[0]], null)).rejects.toThrow('Two different');
  expect(run.figures.extraUse).toBe(0);
});
