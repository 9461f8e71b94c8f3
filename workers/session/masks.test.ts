import { expect, test } from 'vitest';
import { linearProbe } from '../../models/methods/linearProbe.ts';
import type { Method, ModelDescription, Painted, SparseMask, Tensors } from '../../models/methods/method.ts';
import { noBase } from '../../models/methods/start.ts';
import { masksOf, paintMask, renewMasks } from './masks.ts';

const emptyModel: ModelDescription = {
  modules: [],
  blocks: 0,
  parameters: [],
  branches: [],
  attentions: [],
  norms: [],
};
const edit = { path: 'q', mode: 'out', part: { top: 0, left: 0, bottom: 1, right: 2 } } as const;

/** A session of a method whose mask is its one parameter: an entry is masked where its value is not zero. */
function session(method: Partial<Method>) {
  const parts = {
    values: new Map([['v', Float32Array.of(1, 2, 3)]]),
    moment1: new Map([['v', Float32Array.of(4, 5, 6)]]),
    moment2: new Map([['v', Float32Array.of(7, 8, 9)]]),
  };
  const write = (part: keyof typeof parts) => (news: ReadonlyMap<string, Float32Array>) => {
    for (const [name, data] of news) parts[part].set(name, data.slice());
  };
  return {
    parts,
    attachment: { targets: ['q'], parameters: [], knobs: [], intercept: () => ({}) },
    base: noBase,
    options: { method: { ...linearProbe, ...method }, model: emptyModel },
    state: {
      readTensors: async () => parts.values,
      writeTensors: write('values'),
      readTrainables: async (part: keyof typeof parts = 'values') => new Map(parts[part]),
      writeTrainables: (news: ReadonlyMap<string, Float32Array>, part: keyof typeof parts = 'values') =>
        write(part)(news),
    },
    samplesOf: (split: string) => (split === 'val' ? [0, 1, 2, 3] : []),
    evaluate: async () => ({
      loss: 0,
      of: 4,
      hits: parts.values.get('v')!.filter((v) => v !== 0).length,
    }),
    trained: async (): Promise<Tensors> => new Map([['v', { shape: [3], data: parts.values.get('v')! }]]),
  };
}

const sparse: Partial<Method> = {
  masks: (_, tensors): SparseMask[] => [
    {
      path: 'q',
      shape: [1, 3],
      indices: Uint32Array.from([0, 1, 2].filter((i) => tensors.get('v')!.data[i] !== 0)),
    },
  ],
  paint: (_, tensors): Painted => ({
    tensors: new Map([['v', Float32Array.of(0, 0, tensors.get('v')!.data[2])]]),
    fresh: new Map([['v', [0, 1]]]),
  }),
};

test('painting changes the mask, forgets the moments of what it moved, and tells the cost', async () => {
  const painted = session(sparse);
  const edited = await paintMask(painted, {}, edit);
  expect(edited.masks).toEqual([{ path: 'q', rows: 1, columns: 3, indices: Uint32Array.of(2) }]);
  expect([edited.before?.accuracy, edited.after?.accuracy]).toEqual([0.75, 0.25]);
  expect([...painted.parts.moment1.get('v')!, ...painted.parts.moment2.get('v')!]).toEqual([
    0, 0, 6, 0, 0, 9,
  ]);
});

test('a mask chosen anew is told of in the same way', async () => {
  const renewed = session({
    ...sparse,
    renew: {
      setting: 'mask',
      masks: async (_, attachment, tensors) => sparse.paint!(attachment, tensors, edit),
    },
  });
  const renewal = { paths: null, criterion: 'snip', density: 1, seed: 1 };
  const { masks, before, after } = await renewMasks(renewed, {}, renewal);
  expect(masks[0].indices).toEqual(Uint32Array.of(2));
  expect([before?.accuracy, after?.accuracy]).toEqual([0.75, 0.25]);
  expect([...renewed.parts.moment1.get('v')!]).toEqual([0, 0, 6]);
  await expect(renewMasks(session(sparse), {}, renewal)).rejects.toThrow(/no criterion/);
});

test('a method without masks has none, and refuses to be painted by name', async () => {
  expect(await masksOf(session({}))).toEqual([]);
  await expect(paintMask(session({}), {}, edit)).rejects.toThrow(/Linear probe/);
});
