import { describe, expect, test } from 'vitest';
import { gradients } from '../graph/gradient.ts';
import { input, parameter } from '../graph/leaves.ts';
import type { QuantisedDType, Tensor } from '../graph/tensor.ts';
import { attention } from '../ops/attention.ts';
import { crossEntropy } from '../ops/classify.ts';
import { conv2d } from '../ops/conv2d.ts';
import { dropout } from '../ops/dropout.ts';
import { add, copy, gelu, mul } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { layerNorm } from '../ops/norm.ts';
import { reduceSum } from '../ops/reduce.ts';
import { softmax } from '../ops/softmax.ts';
import { schedule } from './schedule.ts';
import { PLAIN, type Target } from './target.ts';

interface Case {
  build(): Tensor[];
  target?: Partial<Target>;
}

const x = (...shape: number[]) => input('x', shape);
const weight = (name: string, ...shape: number[]) => parameter(name, shape);
const dense = () => add(gelu(linear(x(70, 32), weight('w', 64, 32), weight('b', 64))), input('r', [70, 64]));
const norm = (width: number) => layerNorm(x(6, width), weight('g', width), weight('b', width), 1e-5);

function quantised(dtype: QuantisedDType): Tensor[] {
  const a = parameter('a', [70, 32], { trainable: true });
  const y = linear(a, parameter('w', [64, 32], { dtype }));
  return [y, ...gradients(reduceSum(mul(y, input('d', [70, 64]))), [a]).map(copy)];
}

function attentionStep(): Tensor[] {
  const [q, k, v] = ['q', 'k', 'v'].map((n) => parameter(n, [2, 6, 8], { trainable: true }));
  const out = attention(q, k, v, { heads: 2 });
  return [out, ...gradients(reduceSum(mul(out, input('d', [2, 6, 8]))), [q, k, v]).map(copy)];
}

/** What stands for the compiler's kinds of kernels, each small enough to be read. */
const cases: Record<string, Case> = {
  'product with bias, GELU and residual': { build: () => [dense()] },
  'product, packed weight': { build: () => [dense()], target: { packed: true } },
  'product, quad': { build: () => [dense()], target: { product: 'quad' } },
  'product, tall': { build: () => [dense()], target: { product: 'tall', packed: true } },
  'product, shared': { build: () => [dense()], target: { product: 'shared' } },
  'product, shared, f16': { build: () => [dense()], target: { product: 'shared', half: true } },
  'product and gradient, int8 weight': { build: () => quantised('int8'), target: { product: 'tall' } },
  'product and gradient, nf4 weight': { build: () => quantised('nf4') },
  'product, int8 weight, shared': { build: () => quantised('int8'), target: { product: 'shared' } },
  'low-rank product': { build: () => [linear(x(70, 32), parameter('a', [8, 32], { trainable: true }))] },
  'attention, forward and backward': { build: attentionStep },
  'layer norm': { build: () => [norm(12)] },
  'layer norm, a workgroup a row': { build: () => [norm(256)], target: { rows: 'group' } },
  'softmax, a workgroup a row': { build: () => [softmax(x(4, 99))], target: { rows: 'group' } },
  'row sum, a workgroup a row': { build: () => [reduceSum(x(4, 99), [1])], target: { rows: 'group' } },
  'chain of maps with dropout': {
    build: () => [mul(gelu(dropout(x(5, 8), 0.1, input('random', [2], { dtype: 'u32' }), 3)), 2)],
  },
  'cross entropy': { build: () => [crossEntropy(x(4, 3), input('labels', [4], { dtype: 'u32' }))] },
  'depthwise convolution': {
    build: () => [conv2d(x(1, 6, 6, 8), weight('w', 8, 1, 3, 3), { groups: 8, padding: 1 })],
  },
};

describe('the text of kernels', () => {
  for (const [name, { build, target }] of Object.entries(cases))
    test(name, async () => {
      const outputs = Object.fromEntries(build().map((t, i) => [`y${i}`, t]));
      const { calls } = schedule({ outputs, limit: 2 ** 28, target: { ...PLAIN, ...target } });
      const text = calls.map(({ label, grid, code }) => `// ${label}, grid ${grid.join(' × ')}\n${code}`);
      await expect(text.join('\n')).toMatchFileSnapshot(`wgsl/${name.replace(/,? /g, '-')}.wgsl`);
    });
});
