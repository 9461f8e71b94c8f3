import { expect, test } from 'vitest';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import type { ModuleCard } from '../describe.ts';
import { lokr } from './lokr.ts';
import { factorization } from './math/products.ts';
import { bareModel, baseOf } from './testing.ts';

const size = (shape: readonly number[]) => shape.reduce((n, d) => n * d);

test.each([
  [256, -1, [16, 16]],
  [128, -1, [8, 16]],
  [127, -1, [1, 127]],
  [128, 4, [4, 32]],
  [100, 8, [5, 20]],
  [64, 128, [8, 8]],
])('%i in two factors near %i', (n, factor, expected) => {
  expect(factorization(n, factor)).toEqual(expected);
});

const linear: ModuleCard = { path: 'q', kind: 'linear', shape: [6, 8], grouped: false, block: 0 };
const settings = {
  r: 1,
  alpha: 2,
  decompose_factor: -1,
  decompose_both: false,
  scale: 0.5,
  rank_dropout: 0,
  target_modules: ['q'],
};

test.each([
  [4, false, ['w1', 'w2']],
  [1, false, ['w1', 'w2_a', 'w2_b']],
])('block (i, j) of the update is W₁[i, j] W₂ at rank %i', async (r, both, names) => {
  const given = { ...settings, r, decompose_both: both };
  const attachment = lokr.attach({ ...bareModel, modules: [linear] }, given);
  expect(attachment.parameters.map((p) => p.name)).toEqual(names.map((n) => `q.lokr_${n}`));
  const tensors = new Map(
    attachment.parameters.map((p, i) => [p.name, { shape: p.shape, data: noise(size(p.shape), i + 1) }]),
  );
  const zero = baseOf(new Map([['q.weight', new Float32Array(48)]]));
  const update = (await lokr.merge!(attachment, given, tensors, zero)).get('q.weight')!;
  // 6 = 2 × 3 and 8 = 2 × 4: W₁ is 2 × 2, W₂ 3 × 4.
  const at = (name: string) => tensors.get(`q.lokr_${name}`)!.data;
  const right = r === 4 ? [...at('w2')] : [...at('w2_a')].flatMap((a) => [...at('w2_b')].map((b) => a * b));
  const expected = Float32Array.from({ length: 48 }, (_, i) => {
    const [row, column] = [Math.floor(i / 8), i % 8];
    const block = at('w1')[Math.floor(row / 3) * 2 + Math.floor(column / 4)];
    return (2 / r) * 0.5 * block * right[(row % 3) * 4 + (column % 4)];
  });
  close(update, expected, 1e-6);
});
