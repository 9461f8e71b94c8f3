import { describe, expect, test } from 'vitest';
import { formsFor, type ProductForm } from '../compile/target.ts';
import { gradients } from '../graph/gradient.ts';
import { constant, parameter } from '../graph/leaves.ts';
import { checkOp, noise } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { type AttentionOptions, attention } from './attention.ts';
import { add } from './elementwise.ts';
import { reduceSum } from './reduce.ts';

interface Sizes extends Omit<AttentionOptions, 'bias'> {
  b: number;
  tq: number;
  tk: number;
  kv: number;
  d: number;
  bias?: number[];
}

function reference(
  { b, tq, tk, heads, kv, d, scale = 1 / Math.sqrt(d), causal, bias }: Sizes,
  [q, k, v]: Float64Array[],
  extra?: ArrayLike<number>,
) {
  const out = new Float64Array(b * tq * heads * d);
  for (let z = 0; z < b; z++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < tq; i++) {
        const qAt = (z * tq + i) * heads * d + h * d;
        const kAt = (j: number) => (z * tk + j) * kv * d + Math.floor((h * kv) / heads) * d;
        const p = Array.from({ length: tk }, (_, j) => {
          if (causal && j > i + tk - tq) return 0;
          let s = 0;
          for (let e = 0; e < d; e++) s += q[qAt + e] * k[kAt(j) + e];
          s *= scale;
          if (bias && extra) {
            const [bb, bh, bq] = bias;
            s += extra[((bb > 1 ? z : 0) * bh * bq + (bh > 1 ? h : 0) * bq + (bq > 1 ? i : 0)) * tk + j];
          }
          return Math.exp(s);
        });
        const sum = p.reduce((a, x) => a + x, 0);
        for (let j = 0; j < tk; j++) for (let e = 0; e < d; e++) out[qAt + e] += (p[j] / sum) * v[kAt(j) + e];
      }
  return out;
}

const cases: Record<string, Sizes & { frozen?: number[]; form?: ProductForm }> = {
  'one of everything': { b: 1, tq: 1, tk: 1, heads: 1, kv: 1, d: 1 },
  'odd head of 5, tokens 7 and 6': { b: 2, tq: 7, tk: 6, heads: 3, kv: 3, d: 5 },
  'head of 8, frozen q and k': { b: 1, tq: 5, tk: 9, heads: 2, kv: 2, d: 8, frozen: [0, 1] },
  'frozen v and k': { b: 1, tq: 3, tk: 4, heads: 1, kv: 1, d: 4, frozen: [1, 2] },
  'grouped queries, causal, more keys': { b: 1, tq: 6, tk: 8, heads: 4, kv: 2, d: 4, causal: true },
  'causal square, own scale': { b: 2, tq: 5, tk: 5, heads: 1, kv: 1, d: 6, causal: true, scale: 0.7 },
  'tiles of eight, causal': { b: 1, tq: 17, tk: 19, heads: 1, kv: 1, d: 4, causal: true },
  'reads shared by neighbours': { b: 2, tq: 33, tk: 5, heads: 2, kv: 1, d: 8, frozen: [1, 2], form: 'quad' },
  'shared in the key gradient': { b: 1, tq: 3, tk: 34, heads: 2, kv: 1, d: 4, frozen: [0], form: 'quad' },
  'many keys': { b: 1, tq: 3, tk: 131, heads: 1, kv: 1, d: 4, frozen: [1, 2] },
  'many queries': { b: 1, tq: 130, tk: 3, heads: 1, kv: 1, d: 4, frozen: [0] },
  'one query, grouped, with a bias': { b: 2, tq: 1, tk: 9, heads: 2, kv: 1, d: 6, bias: [1, 2, 1] },
  'bias by sample': { b: 2, tq: 5, tk: 3, heads: 2, kv: 2, d: 4, bias: [2, 1, 1] },
  'bias by head and query': { b: 2, tq: 5, tk: 6, heads: 2, kv: 2, d: 3, bias: [1, 2, 5] },
};

describe('attention', () => {
  for (const [name, c] of Object.entries(cases))
    test(name, async ({ skip }) => {
      const { info } = await testGpu();
      if (c.form && !formsFor(info).includes(c.form)) skip('This adapter has no subgroups.');
      const extra = c.bias
        ? noise(
            c.bias.reduce((a, n) => a * n, c.tk),
            9,
          )
        : undefined;
      await checkOp({
        target: c.form && { product: c.form },
        shapes: [
          [c.b, c.tq, c.heads * c.d],
          [c.b, c.tk, c.kv * c.d],
          [c.b, c.tk, c.kv * c.d],
        ],
        frozen: c.frozen,
        build: (q, k, v) => {
          const bias = extra ? constant(extra, [...c.bias!, c.tk]) : null;
          return add(attention(q, k, v, { ...c, bias }), 0.5);
        },
        reference: (...xs) => reference(c, xs, extra).map((y) => y + 0.5),
      });
    });

  test('wide heads', () => {
    const c = { b: 1, tq: 3, tk: 3, heads: 1, kv: 1, d: 96 };
    return checkOp({
      shapes: [
        [1, 3, 96],
        [1, 3, 96],
        [1, 3, 96],
      ],
      build: (q, k, v) => attention(q, k, v, c),
      reference: (...xs) => reference(c, xs),
    });
  });

  test('scores far apart stay finite and right', () =>
    checkOp({
      shapes: [
        [1, 5, 4],
        [1, 5, 4],
        [1, 5, 4],
      ],
      domain: (x, i) => (i === 0 ? 40 * x : x),
      tolerance: 1e-3,
      build: (q, k, v) => attention(q, k, v, { heads: 1 }),
      reference: (...xs) => reference({ b: 1, tq: 5, tk: 5, heads: 1, kv: 1, d: 4 }, xs),
    }));

  test('a trainable bias is refused', () => {
    const x = constant(noise(12, 1), [1, 3, 4]);
    const bias = parameter('bias', [1, 1, 3, 3], { trainable: true });
    const loss = reduceSum(attention(x, x, x, { heads: 1, bias }));
    expect(() => gradients(loss, [bias])).toThrow(/bias no gradient/);
  });
});
