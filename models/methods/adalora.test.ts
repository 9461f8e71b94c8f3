import { describe, expect, test } from 'vitest';
import { modelIn } from '../backbones/testing.ts';
import { adalora } from './adalora.ts';
import { phases, tripletNames } from './adaloraParts.ts';
import type { LiveTensors } from './method.ts';
import { noBase, startValue } from './start.ts';

const settings = {
  init_r: 4,
  target_r: 2,
  lora_alpha: 8,
  tinit: 0.2,
  tfinal: 0.3,
  deltaT: 1,
  beta1: 0.85,
  beta2: 0.85,
  orth_reg_weight: 0.5,
  scale: 1,
  lora_dropout: 0,
  target_modules: ['q_proj'],
};
const STEPS = 20;

/** A run of the refresh alone: values stay, and gradients are larger the later the triplet. */
async function allocated(restart: boolean) {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  const attachment = adalora.attach(model, settings);
  const held = new Map<string, Float32Array>();
  for (const t of [...attachment.parameters, ...attachment.buffers!])
    held.set(t.name, (await startValue(t, 1, noBase)).slice());
  const trained = attachment.parameters.map((p) => p.name);
  const live: Omit<LiveTensors, 'step'> = {
    steps: STEPS,
    epochSteps: STEPS,
    read: async (name) => held.get(name)!.slice(),
    write: (name, data) => void held.set(name, data.slice()),
    trained: async () => ({
      values: new Map(trained.map((n) => [n, held.get(n)!.slice()])),
      gradients: new Map(trained.map((n) => [n, held.get(n)!.map((_, i, v) => (i + 1) / v.length)])),
    }),
    moments: () => Promise.reject(new Error('unused')),
    writeMoments: () => {},
    gradients: () => Promise.reject(new Error('unused')),
    draw: () => 0,
  };
  const left: number[] = [];
  let { refresh } = attachment;
  for (let step = 0; step <= STEPS; step++) {
    for (const path of attachment.targets) held.get(tripletNames(path).e)!.fill(1);
    if (restart && step === 9) refresh = adalora.attach(model, settings).refresh;
    if (refresh!.due({ step, steps: STEPS, epochSteps: STEPS })) await refresh!.apply({ ...live, step });
    left.push(
      attachment.targets.reduce((n, p) => n + held.get(tripletNames(p).e)!.filter((e) => e).length, 0),
    );
  }
  return { held, left, attachment, model };
}

describe('the allocation', () => {
  test('cuts to the budget between its two phases and then stands', async () => {
    const { held, left, attachment } = await allocated(false);
    expect(phases(settings, STEPS)).toEqual({ from: 4, to: 14 });
    const first = 4 * attachment.targets.length;
    expect(left.slice(0, 5)).toEqual(Array(5).fill(first));
    for (let step = 6; step <= 14; step++) expect(left[step]).toBeLessThanOrEqual(left[step - 1]);
    expect(left[14]).toBe(first / 2);
    const kept = attachment.targets.map((path) => held.get(tripletNames(path).kept)!);
    expect(kept.flatMap((k) => [...k]).filter((k) => k === 1)).toHaveLength(first / 2);
  });

  test('goes on with the same bits after a pause', async () => {
    expect((await allocated(true)).held).toEqual((await allocated(false)).held);
  });

  test('leaves the ranks of each module in the file', async () => {
    const { held, attachment, model } = await allocated(false);
    const tensors = new Map(
      [...attachment.parameters, ...attachment.buffers!].map((t) => [
        t.name,
        { shape: t.shape, data: held.get(t.name)! },
      ]),
    );
    const content = await adalora.peft!.write(attachment, settings, tensors, noBase);
    const pattern = content.config.rank_pattern as Record<string, boolean[]>;
    for (const path of attachment.targets) {
      const { a, e, b } = tripletNames(path);
      const rank = pattern[e].filter(Boolean).length;
      const [, inputs] = model.modules.find((m) => m.path === path)!.shape;
      expect(content.tensors.get(a)!.shape).toEqual([rank, inputs]);
      expect(content.tensors.get(e)!.shape).toEqual([rank, 1]);
      expect(content.tensors.get(b)!.shape[1]).toBe(rank);
    }
  });
});

test('refuses ranks that grow and phases that leave no room', async () => {
  const model = await modelIn('tools/reference/fixtures/vit-tiny');
  expect(() => adalora.attach(model, { ...settings, target_r: 5 })).toThrow(/at least 5/);
  expect(() => adalora.attach(model, { ...settings, tfinal: 0.8 })).toThrow(/below 1/);
});
