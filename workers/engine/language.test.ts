import 'fake-indexeddb/auto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { create, globals } from 'webgpu';
import type { RunView } from '../protocol.ts';
import { browser, fetchFile, type Tab } from './testing.ts';
import { GpuTrainer } from './trainer.ts';

beforeAll(() => {
  Object.assign(globalThis, globals);
  vi.stubGlobal('fetch', fetchFile);
});
afterAll(() => vi.unstubAllGlobals());

const rows = Array.from({ length: 12 }, (_, i) => ({
  prompt: `What ship is number ${i % 3}?`,
  completion: ['The Rachel.', 'The Delight.', 'The Bachelor.'][i % 3],
}));

async function ended({ engine }: Tab, id: string): Promise<RunView> {
  for (;;) {
    const run = (await engine.runs()).find((r) => r.id === id)!;
    if (['done', 'failed', 'stopped'].includes(run.state)) return run;
    await new Promise((later) => setTimeout(later, 20));
  }
}

test('conversations are dropped, a decoder learns to answer them, and writes', async () => {
  const gpu = create([]);
  const tab = await (await browser('language')).tab({ openGpu: () => GpuTrainer.open(gpu) });
  const { engine, events } = tab;
  const text = rows.map((row) => JSON.stringify(row)).join('\n');
  const understood = await engine.take([{ path: 'ships.jsonl', file: new File([text], 'ships.jsonl') }]);
  if (understood.kind !== 'dataset') throw new Error(understood.sentence);
  const { dataset } = understood;
  expect(dataset.table?.chosen).toEqual({
    text: 'prompt',
    pair: 'completion',
    label: null,
    task: 'causal-lm',
  });
  const plan = { dataset: dataset.id, backbone: 'graft-llama', method: 'lora' };
  const settings = { batch_size: 4, epochs: 1, r: 2, max_length: 24, target_modules: ['q_proj', 'v_proj'] };
  await expect(engine.estimate({ ...plan, backbone: 'graft-vit', settings: {} })).rejects.toThrow(/texts/);
  const begun = await engine.createRun({ ...plan, settings });
  expect(begun.plan.task).toBe('causal-lm');
  const run = await ended(tab, begun.id);
  expect(run.error).toBeUndefined();
  expect(run.probe).toBeUndefined();
  const report = await engine.report(run.id);
  expect(report.confusion).toEqual([]);
  expect(report.losses!.loss).toBeLessThan(report.losses!.start + 0.5);
  const request = { prompt: 'What ship?', chat: true, tokens: 6, temperature: 0, topP: 1, seed: 1 };
  const written = await engine.write(run.id, request);
  expect(written.done).toBe(true);
  expect(written.withoutAdapter.length).toBeGreaterThan(0);
  expect(events.some((e) => e.kind === 'written' && e.run === run.id)).toBe(true);
  expect(await engine.write(run.id, request)).toEqual(written);
}, 120_000);
