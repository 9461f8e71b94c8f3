import { expect, test } from 'vitest';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import type { ModuleCard } from '../describe.ts';
import { cayleyChange, skewOf } from './math/cayley.ts';
import { matrixOf, multiply, transpose } from './math/matrix.ts';
import { oft } from './oft.ts';
import { bareModel, baseOf } from './testing.ts';

/** Largest entry of R Rᵀ - I. */
function stretch(change: Float64Array, n: number): number {
  const data = change.map((x, i) => x + (i % (n + 1) === 0 ? 1 : 0));
  const r = { rows: n, columns: n, data };
  const square = multiply(r, transpose(r)).data;
  return Math.max(...square.map((x, i) => Math.abs(x - (i % (n + 1) === 0 ? 1 : 0))));
}

test('exact rotations keep lengths; those of a series the better, the more terms', () => {
  const q = skewOf(noise(15, 1), 0, 6, 0.2);
  expect(stretch(cayleyChange(q, 6, null), 6)).toBeLessThan(1e-12);
  const [four, eight, sixteen] = [4, 8, 16].map((terms) => stretch(cayleyChange(q, 6, terms), 6));
  expect(eight).toBeLessThan(four / 2);
  expect(sixteen).toBeLessThan(eight / 2);
});

const layer = (path: string, inputs: number): ModuleCard => ({
  path,
  kind: 'linear',
  shape: [5, inputs],
  grouped: false,
  block: 0,
});
const settings = {
  oft_block_size: 4,
  block_share: false,
  use_cayley_neumann: false,
  num_cayley_neumann_terms: 5,
  scale: 1,
};

test.each([true, false])(
  'folded in, the angles between a layer’s outputs are those before (shared: %s)',
  async (share) => {
    const given = { ...settings, block_share: share, target_modules: ['q'] };
    const attachment = oft.attach({ ...bareModel, modules: [layer('q', 8)] }, given);
    const [{ name, shape }] = attachment.parameters;
    expect(shape).toEqual([share ? 1 : 2, 6]);
    const weight = noise(40, 3);
    const tensors = new Map([[name, { shape, data: noise(share ? 6 : 12, 4) }]]);
    const merged = await oft.merge!(attachment, given, tensors, baseOf(new Map([['q.weight', weight]])));
    const turned = merged.get('q.weight')!;
    expect(Math.max(...turned.map((x, i) => Math.abs(x - weight[i])))).toBeGreaterThan(0.1);
    const gram = (data: Float32Array) => {
      const w = matrixOf({ shape: [5, 8], data });
      return Float32Array.from(multiply(w, transpose(w)).data);
    };
    close(gram(turned), gram(weight), 1e-5);
  },
);

test.each([
  [112, 32, 28],
  [96, 32, 32],
  [24, 32, 24],
  [15, 4, 3],
])('%i inputs in blocks of about %i: %i, as PEFT chooses', (inputs, wish, block) => {
  const model = { ...bareModel, modules: [layer('q', inputs)] };
  const { parameters } = oft.attach(model, { ...settings, oft_block_size: wish, target_modules: ['q'] });
  expect(parameters[0].shape).toEqual([inputs / block, (block * (block - 1)) / 2]);
});
