import { beforeAll, expect, test } from 'vitest';
import { input, mul, reduceSum, softmax, type Tensor } from '../../gpu-shaders/index.ts';
import { close, noise } from '../../gpu-shaders/testing/checkOp.ts';
import { evaluate, modelIn } from '../backbones/testing.ts';
import type { Model } from '../model.ts';
import { MethodError } from './method.ts';
import { messages, pAdapter, reweighted } from './pAdapter.ts';

const [B, H, TQ, TK, D] = [2, 2, 5, 7, 4];
let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

const graph = () => ({
  edges: softmax(input('scores', [B, H, TQ, TK])),
  queries: input('queries', [B, H, TQ, D]),
  values: input('values', [B, H, TK, D]),
  p: input('p', []),
  mu: input('mu', []),
});
const data = (p: number, mu: number) => ({
  scores: noise(B * H * TQ * TK, 1),
  queries: noise(B * H * TQ * D, 2),
  values: noise(B * H * TK * D, 3),
  p: Float32Array.of(p),
  mu: Float32Array.of(mu),
});
const run = <N extends string>(outputs: Record<N, Tensor>, p: number, mu: number) =>
  evaluate(model, outputs, data(p, mu));

/** The equations in float64, one node at a time. */
function byHand(edges: Float32Array, p: number, mu: number, itself: boolean): Float64Array {
  const { queries, values } = data(p, mu);
  const m = new Float64Array(B * H * TQ * D);
  for (let i = 0; i < B * H * TQ; i++) {
    const graphAt = Math.floor(i / TQ);
    const f = queries.subarray(i * D, (i + 1) * D);
    let sum = 0;
    for (let j = 0; j < TK; j++) {
      const g = values.subarray((graphAt * TK + j) * D, (graphAt * TK + j + 1) * D);
      const edge = edges[i * TK + j];
      const weight = edge * (Math.sqrt(edge) * Math.hypot(...f.map((x, d) => x - g[d]))) ** (p - 2);
      sum += weight;
      for (let d = 0; d < D; d++) m[i * D + d] += weight * g[d];
    }
    const alpha = 1 / (sum + (2 * mu) / p);
    for (let d = 0; d < D; d++) m[i * D + d] = alpha * (m[i * D + d] + (itself ? ((2 * mu) / p) * f[d] : 0));
  }
  return m;
}

test('at p = 2 the edges are the attention to the bit, and messages without beta A f / (1 + mu)', async () => {
  const g = graph();
  const outputs = {
    edges: g.edges,
    again: reweighted(g.edges, g.queries, g.values, g.p),
    m: messages({ ...g, itself: false }),
  };
  const found = await run(outputs, 2, 0.3);
  expect(found.again).toEqual(found.edges);
  const { values } = data(2, 0.3);
  const expected = Float64Array.from(found.m, (_, at) => {
    const [i, d] = [Math.floor(at / D), at % D];
    let sum = 0;
    for (let j = 0; j < TK; j++)
      sum += found.edges[i * TK + j] * values[(Math.floor(i / TQ) * TK + j) * D + d];
    return sum / 1.3;
  });
  close(found.m, expected, 1e-6);
});

test.each([
  [1.25, 0.1, true],
  [2.75, 1.5, true],
  [1.5, 10, false],
])('messages follow the equations at p = %d, mu = %d', async (p, mu, itself) => {
  const g = graph();
  const found = await run({ edges: g.edges, m: messages({ ...g, itself }) }, p, mu);
  close(found.m, byHand(found.edges, p, mu, itself), 1e-4);
});

test('messages come from farther the larger p is', async () => {
  const g = graph();
  const edges = reweighted(g.edges, g.queries, g.values, g.p);
  const far: number[] = [];
  const { queries, values } = data(2, 0);
  for (const p of [1, 1.5, 2, 2.5, 3]) {
    const found = await run({ edges, total: reduceSum(mul(edges, 1)) }, p, 0);
    let sum = 0;
    found.edges.forEach((weight, at) => {
      const [i, j] = [Math.floor(at / TK), at % TK];
      const row = (Math.floor(i / TQ) * TK + j) * D;
      sum +=
        weight * Math.hypot(...Array.from({ length: D }, (_, d) => queries[i * D + d] - values[row + d]));
    });
    far.push(sum / found.total[0]);
  }
  expect(far).toEqual([...far].sort((a, b) => a - b));
  expect(far[4] / far[0]).toBeGreaterThan(1.1);
});

test('a backbone without attention is refused', () => {
  const bare = { modules: [], blocks: 2, parameters: [], branches: [], attentions: [], norms: [] };
  expect(() => pAdapter.attach(bare, { last_blocks: 0 })).toThrow(MethodError);
});
