import { beforeAll, describe, expect, test } from 'vitest';
import { sizeOf } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import type { Model } from '../model.ts';
import { ltSft, sftUpdates } from './ltSft.ts';
import { addUpdates, restore, strongest, switchIn } from './math/sparse.ts';
import type { Attachment, LiveTensors, Tensors } from './method.ts';
import { noBase, startValue } from './start.ts';

const PATHS = ['vit.layers.0.attention.q_proj', 'vit.layers.1.mlp.fc1'];
const settings: Settings = {
  density: 3,
  first_phase: 0.25,
  selection: 'moved',
  rate: 1,
  l1: 0,
  scale: 1,
  target_modules: PATHS,
};

let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

/** Tensors of a run at its switch, and what the method did to them. */
async function switched(given: Settings, seed = 3) {
  const attachment = ltSft.attach(model, given);
  const values = new Map<string, Float32Array>();
  const moments = new Map<string, Float32Array[]>();
  for (const [i, p] of attachment.parameters.entries()) values.set(p.name, noise(sizeOf(p.shape), seed + i));
  for (const b of attachment.buffers!) values.set(b.name, await startValue(b, 1, noBase));
  const before = new Map(values);
  let state = seed;
  const live: Pick<LiveTensors, 'read' | 'write' | 'writeMoments' | 'draw'> = {
    read: async (name) => values.get(name)!,
    write: (name, data) => values.set(name, data),
    writeMoments: (name, ...both) => moments.set(name, both),
    draw: () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    },
  };
  await attachment.refresh!.apply(live as LiveTensors);
  return { attachment, before, values, moments };
}

const shaped = (attachment: Attachment, values: ReadonlyMap<string, Float32Array>): Tensors =>
  new Map(
    [...attachment.parameters, ...attachment.buffers!].map((p) => [
      p.name,
      { shape: p.shape, data: values.get(p.name)! },
    ]),
  );

describe('at the switch', () => {
  test('the entries of all targets that moved farthest stay, and everything goes back', async () => {
    const { attachment, before, values, moments } = await switched(settings);
    const names = PATHS.map((p) => `${p}.sft_delta`);
    const moved = Float32Array.from(names.flatMap((n) => [...before.get(n)!].map(Math.abs)));
    const kept = Math.round(0.03 * moved.length);
    const masks = Float32Array.from(PATHS.flatMap((p) => [...values.get(`${p}.sft_mask`)!]));
    expect([...masks.keys()].filter((i) => masks[i] === 1)).toEqual([...strongest(moved, kept)]);
    for (const name of names) {
      expect(values.get(name)!.every((x) => x === 0)).toBe(true);
      expect(moments.get(name)!.every((m) => m.every((x) => x === 0))).toBe(true);
    }
    const found = ltSft.masks!(attachment, shaped(attachment, values));
    expect(found.reduce((n, m) => n + m.indices.length, 0)).toBe(kept);
  });

  test('or as many at random', async () => {
    const { attachment, values } = await switched({ ...settings, selection: 'random' });
    const found = ltSft.masks!(attachment, shaped(attachment, values));
    const total = attachment.parameters.reduce((n, p) => n + sizeOf(p.shape), 0);
    expect(found.reduce((n, m) => n + m.indices.length, 0)).toBe(Math.round(0.03 * total));
  });

  test('which comes once, and not at the end', () => {
    const { due } = ltSft.attach(model, settings).refresh!;
    const at = (steps: number) =>
      Array.from({ length: steps + 1 }, (_, step) => step).filter((step) =>
        due({ step, steps, epochSteps: 5 }),
      );
    expect([at(40), at(2)]).toEqual([[10], [1]]);
  });

  test('before it there is no mask to draw or to paint', async () => {
    const { attachment, before } = await switched(settings);
    const tensors = shaped(attachment, before);
    expect(ltSft.masks!(attachment, tensors)).toEqual([]);
    const edit = { path: PATHS[0], mode: 'out', part: { top: 0, left: 0, bottom: 1, right: 1 } } as const;
    expect(() => ltSft.paint!(attachment, tensors, edit)).toThrow(/first phase/);
  });
});

/** The change that a run learnt: values on the entries that its mask lets through. */
async function learnt(seed: number) {
  const { attachment, values } = await switched(settings, seed);
  for (const p of attachment.parameters) {
    const mask = values.get(p.name.replace('delta', 'mask'))!;
    values.set(
      p.name,
      noise(mask.length, seed + 20).map((x, i) => x * mask[i]),
    );
  }
  return { attachment, tensors: shaped(attachment, values) };
}

test('changes compose by addition in any order, and leave to the bit', async () => {
  const [task, domain] = await Promise.all([learnt(3), learnt(11)]);
  const [a, b] = [task, domain].map((x) => sftUpdates(x.attachment, settings, x.tensors)[1]);
  const before = await model.f32(`${PATHS[1]}.weight`);
  const weight = before.slice();
  const undo = [a, b].map((u) => switchIn(weight, u));
  const other = before.slice();
  switchIn(other, addUpdates([b, a], [1, 1]));
  close(weight, other, 1e-6);
  expect(weight.filter((x, i) => x !== before[i]).length).toBe(
    new Set([...a.positions, ...b.positions]).size,
  );
  for (const u of undo.reverse()) restore(weight, u);
  expect(new Uint32Array(weight.buffer)).toEqual(new Uint32Array(before.buffer));
});

test('painting lets entries in with nothing learnt, or takes them out', async () => {
  const { attachment, tensors } = await learnt(3);
  const part = { top: 0, left: 0, bottom: 4, right: 5 };
  for (const mode of ['in', 'out'] as const) {
    const { tensors: now, fresh } = ltSft.paint!(attachment, tensors, { path: PATHS[0], mode, part });
    const mask = now.get(`${PATHS[0]}.sft_mask`)!;
    const columns = model.modules.find((m) => m.path === PATHS[0])!.shape[1];
    for (let row = 0; row < 4; row++)
      for (let c = 0; c < 5; c++) expect(mask[row * columns + c]).toBe(mode === 'in' ? 1 : 0);
    const delta = now.get(`${PATHS[0]}.sft_delta`)!;
    for (const at of fresh.get(`${PATHS[0]}.sft_delta`)!) expect(delta[at]).toBe(0);
  }
});
