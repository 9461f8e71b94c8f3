import { expect, test } from 'vitest';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import type { ModuleCard } from '../describe.ts';
import { loha } from './loha.ts';
import { matrixOf } from './math/matrix.ts';
import { svd } from './math/svd.ts';
import { bareModel, baseOf } from './testing.ts';

const size = (shape: readonly number[]) => shape.reduce((n, d) => n * d);
const linear: ModuleCard = { path: 'q', kind: 'linear', shape: [10, 9], grouped: false, block: 0 };
const settings = { r: 2, alpha: 4, scale: 0.5, rank_dropout: 0, target_modules: ['q'] };

test('an update of 2 r (out + in) numbers has rank r², as two of LoRA would have 2 r', async () => {
  const attachment = loha.attach({ ...bareModel, modules: [linear] }, settings);
  expect(attachment.parameters.reduce((n, p) => n + size(p.shape), 0)).toBe(2 * 2 * (10 + 9));
  const tensors = new Map(
    attachment.parameters.map((p, i) => [p.name, { shape: p.shape, data: noise(size(p.shape), i + 1) }]),
  );
  const zero = baseOf(new Map([['q.weight', new Float32Array(90)]]));
  const update = (await loha.merge!(attachment, settings, tensors, zero)).get('q.weight')!;
  const { values } = svd(matrixOf({ shape: [10, 9], data: update }));
  expect(values[3] / values[0]).toBeGreaterThan(1e-3);
  expect(values[4] / values[0]).toBeLessThan(1e-6);
  const at = (n: number, side: string) => tensors.get(`q.hada_w${n}_${side}`)!.data;
  const product = (n: number) => at(n, 'a')[0] * at(n, 'b')[0] + at(n, 'a')[1] * at(n, 'b')[9];
  expect(update[0]).toBeCloseTo((4 / 2) * 0.5 * product(1) * product(2), 5);
});

test('a convolution’s kernel is part of its inputs, as in PEFT', () => {
  const conv: ModuleCard = { path: 'c', kind: 'conv2d', shape: [8, 4, 3, 3], grouped: false, block: 0 };
  const { parameters } = loha.attach(
    { ...bareModel, modules: [conv] },
    { ...settings, target_modules: ['c'] },
  );
  expect(parameters.map((p) => p.shape)).toEqual([
    [8, 2],
    [2, 36],
    [8, 2],
    [2, 36],
  ]);
});
