import { expect, test } from 'vitest';
import { add, gelu, mul } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { layerNorm } from '../ops/norm.ts';
import { reduceSum } from '../ops/reduce.ts';
import { reshape } from '../ops/reshape.ts';
import { input, parameter } from './leaves.ts';
import { frozenCut, livenessOf } from './split.ts';
import { byteSize, type Tensor } from './tensor.ts';

const samples = (...shape: number[]) => input('samples', shape, { sample: true });
const frozen = (out: number, inputs: number) => parameter(`w${out}x${inputs}`, [out, inputs]);

/** A frozen layer with a live low-rank update beside it. */
function adapted(x: Tensor, out: number): Tensor {
  const width = x.shape.at(-1)!;
  const a = parameter('a', [2, width], { trainable: true });
  const b = parameter('b', [out, 2], { trainable: true });
  return add(linear(x, frozen(out, width)), linear(linear(x, a), b));
}

test('the cut lies at the hidden state, not at the frozen projections beside it', () => {
  const h = linear(samples(4, 5, 64), frozen(16, 64));
  const normed = layerNorm(h, null, null, 1e-5);
  const y = add(add(adapted(normed, 16), linear(normed, frozen(16, 16))), h);
  expect(frozenCut([y])).toEqual([h]);
});

test('a pooled value is kept rather than what it was pooled from', () => {
  const pooled = reduceSum(gelu(linear(samples(4, 5, 8), frozen(16, 8))), [1]);
  expect(frozenCut([adapted(pooled, 3)])).toEqual([pooled]);
});

test('the samples themselves are the cut where nothing frozen is smaller', () => {
  const x = samples(4, 5, 8);
  expect(frozenCut([adapted(linear(x, frozen(64, 8)), 3)])).toEqual([x]);
});

test('expensive values are kept though what they come from is smaller', () => {
  const x = samples(1, 4, 2900);
  const wide = linear(linear(x, frozen(3000, 2900)), frozen(3000, 3000));
  const y = adapted(wide, 300);
  expect(byteSize(wide)).toBeGreaterThan(byteSize(x));
  expect(frozenCut([y])).toEqual([wide]);
});

test('a value whose first axis is not the batch is not kept', () => {
  const h = linear(samples(4, 5, 8), frozen(4, 8));
  const rows = linear(reshape(h, [20, 4]), frozen(1, 4));
  const [cut, ...more] = frozenCut([adapted(rows, 3)]);
  expect([cut.shape, more]).toEqual([[4, 5, 4], []]);
});

test('outputs that are frozen themselves are in the cut; none without samples', () => {
  const h = linear(samples(4, 8), frozen(4, 8));
  expect(frozenCut([h])).toEqual([h]);
  expect(frozenCut([mul(parameter('p', [3], { trainable: true }), 2)])).toEqual([]);
});

test('what reads a mutable tensor is not frozen', () => {
  const x = input('x', [2, 3], { sample: true });
  const mask = parameter('mask', [3], { mutable: true });
  const seen = livenessOf([mul(x, mask), mul(x, parameter('w', [3]))]);
  expect([...seen].filter(([t]) => t.node.op.name === 'mul').map(([, kind]) => kind)).toEqual([
    'live',
    'frozen',
  ]);
});
