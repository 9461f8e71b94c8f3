import { beforeAll, describe, expect, test } from 'vitest';
import * as g from '../../gpu-shaders/index.ts';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { evaluate } from '../../gpu-shaders/testing/evaluate.ts';
import { openOnnx } from '../../tools/onnx/node.ts';
import { table, writeOnnx } from './index.ts';

const B = 2;
/** What is given: pictures, rows, tokens, ids. */
const given = {
  picture: { shape: [B, 6, 5, 4], data: noise(B * 120, 1) },
  rows: { shape: [B, 6], data: noise(B * 6, 2).map((v) => 3 * v) },
  others: { shape: [B, 6], data: noise(B * 6, 3) },
  tokens: { shape: [B, 5, 16], data: noise(B * 80, 4) },
  keys: { shape: [B, 5, 8], data: noise(B * 40, 5) },
  values: { shape: [B, 5, 8], data: noise(B * 40, 6) },
};
type Given = Record<keyof typeof given, g.Tensor>;

const fixed = (shape: number[], seed: number) =>
  g.constant(
    noise(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    shape,
  );

const pointwise = ({ rows, others }: Given): Record<string, g.Tensor> => {
  const positive = g.add(g.abs(rows), 0.1);
  return {
    arithmetic: g.sub(g.div(g.mul(rows, 2), g.add(positive, 1)), g.neg(others)),
    exp: g.exp(others),
    log: g.log(positive),
    sqrt: g.sqrt(positive),
    rsqrt: g.rsqrt(positive),
    sin: g.sin(rows),
    cos: g.cos(rows),
    erf: g.erf(rows),
    tanh: g.tanh(rows),
    sigmoid: g.sigmoid(rows),
    silu: g.silu(rows),
    gelu: g.gelu(rows),
    geluTanh: g.gelu(rows, 'tanh'),
    quickGelu: g.quickGelu(rows),
    relu: g.relu(rows),
    relu6: g.relu6(g.mul(rows, 4)),
    leakyRelu: g.leakyRelu(rows, 0.2),
    hardSwish: g.hardSwish(g.mul(rows, 3)),
    softplus: g.softplus(rows),
    copy: g.stopGradient(g.copy(rows)),
    cube: g.pow(rows, 3),
    inverse: g.pow(positive, -1),
    root: g.pow(rows, 0.5),
    one: g.pow(rows, 0),
    extremes: g.add(g.maximum(rows, others), g.minimum(rows, others)),
    comparisons: g.add(g.greater(rows, others), g.add(g.greaterEqual(rows, rows), g.equal(rows, rows))),
    where: g.where(g.greater(rows, 0), others, 7),
    broadcast: g.broadcastTo(g.reshape(rows, [rows.shape[0], 1, 6]), [rows.shape[0], 3, 6]),
    filled: g.add(g.fill([rows.shape[0], 6], 2), rows),
  };
};

const arrangements = ({ picture, rows, tokens }: Given): Record<string, g.Tensor> => {
  const n = rows.shape[0];
  const ids = g.cast(g.add(g.mul(g.sigmoid(rows), 5), -0.9), 'i32');
  return {
    transpose: g.transpose(tokens, [2, 0, 1]),
    slice: g.slice(tokens, [0, 1, 3], [n, 3, 5]),
    pad: g.pad(tokens, [0, 1, 0], [0, 0, 2], -1),
    concat: g.concat([tokens, g.mul(tokens, 2), g.slice(tokens, [0, 0, 0], [n, 1, 16])], 1),
    sums: g.reduceSum(tokens, [1]),
    means: g.mean(picture, [1, 2]),
    gather: g.gatherRows(fixed([4, 3], 7), ids),
    lookedUp: g.embedding([fixed([2, 3], 23), fixed([2, 3], 24)], ids),
    oneHot: g.oneHot(ids, 4),
    argmax: g.cast(g.argmax(rows), 'f32'),
    hits: g.accuracyHits(rows, g.argmax(g.neg(rows))),
    bilinear: g.resizeBilinear(picture, [9, 3], { antialias: true }),
    bicubic: g.resizeBicubic(picture, [4, 7]),
  };
};

const products = ({ picture, rows, tokens, keys, values }: Given): Record<string, g.Tensor> => ({
  matmul: g.matmul(rows, fixed([6, 3], 8)),
  transposed: g.matmul(rows, fixed([3, 6], 9), { tb: true }),
  batched: g.matmul(tokens, g.concat([keys, keys], 2), { ta: true }),
  conv: g.conv2d(picture, fixed([3, 4, 3, 3], 10), { stride: 2, padding: 'same' }),
  dilated: g.conv2d(picture, fixed([3, 4, 2, 3], 11), { dilation: [2, 1], padding: [1, 0, 2, 1] }),
  pointwise: g.conv2d(picture, fixed([3, 4, 1, 1], 12)),
  grouped: g.conv2d(picture, fixed([6, 2, 3, 3], 13), { groups: 2, padding: 1 }),
  depthwise: g.add(g.conv2d(picture, fixed([4, 1, 3, 3], 14), { groups: 4, stride: 2 }), fixed([4], 15)),
  windows: g.mul(columnsOf(picture), 2),
  maxPool: g.maxPool2d(picture, 2, { stride: 1, padding: 1 }),
  meanPool: g.avgPool2d(picture, [3, 2], { padding: 1 }),
  insidePool: g.avgPool2d(picture, 3, { padding: 1, stride: 2, countPadding: false }),
  attention: g.attention(tokens, tokens, tokens, { heads: 4 }),
  causal: g.attention(tokens, keys, values, { heads: 4, causal: true, scale: 0.4 }),
  biased: g.attention(keys, keys, values, { heads: 2, bias: fixed([1, 2, 5, 5], 16) }),
  sharedBias: g.attention(tokens, keys, values, { heads: 4, bias: fixed([1, 4, 1, 5], 17) }),
  rotary: g.rotary(tokens, fixed([5, 8], 25), 8),
  layerNorm: g.layerNorm(tokens, fixed([16], 18), fixed([16], 19), 1e-5),
  bareNorm: g.layerNorm(tokens, null, null, 1e-5),
  rmsNorm: g.rmsNorm(tokens, fixed([16], 20), 1e-6),
  taken: g.takeColumns(rows, g.constant(g.columnChoice(Uint32Array.of(4, 0, 3), 6), [9]), 3),
  nearest: g.nearestCode(rows, g.constant(Float32Array.of(-1, -0.2, 0.5, 2), [4])),
  sparse: g.sparseLinear(rows, fixed([5], 22), sparseLayoutOf([0, 7, 9, 99, 17]), 3),
  softmax: g.softmax(rows),
  logSoftmax: g.logSoftmax(rows),
});

/** Of a matrix [3, 6]; a position beyond it stands for no entry. */
function sparseLayoutOf(positions: number[]): g.Tensor {
  const layout = g.sparseLayout(positions, 3, 6);
  return g.constant(layout, [layout.length]);
}

/** The gathered windows of a convolution that no product reads. */
function columnsOf(picture: g.Tensor): g.Tensor {
  return g.conv2d(picture, fixed([2, 4, 3, 3], 21), { padding: 1 }).node.inputs[0];
}

const traced = (batch: number): Record<string, g.Tensor> => {
  const inputs = Object.fromEntries(
    Object.entries(given).map(([name, { shape }]) => [name, g.input(name, [batch, ...shape.slice(1)])]),
  ) as Given;
  return { ...pointwise(inputs), ...arrangements(inputs), ...products(inputs) };
};

describe('every row of the table computes what the engine does', () => {
  const names = Object.keys(traced(B));
  let found: Record<string, Float32Array>;
  let expected: Record<string, Float32Array>;
  beforeAll(async () => {
    const file = await writeOnnx(
      (batch) => ({
        outputs: traced(batch),
        read: async () => new Float32Array(0),
        name: 'rows',
        version: '1',
        weights: 'embedded',
      }),
      B,
    );
    expect(file.openBatch).toBe(true);
    const session = await openOnnx().open({ graph: file.graph, weights: null });
    found = await session.run(given);
    await session.close();
    const outputs = Object.fromEntries(Object.entries(traced(B)).map(([name, t]) => [name, g.copy(t)]));
    expected = await evaluate(
      outputs,
      Object.fromEntries(Object.entries(given).map(([name, { data }]) => [name, data])),
    );
  });

  test.each(names)('%s', (name) => {
    expect(found[name].length).toBe(expected[name].length);
    const largest = Math.max(1, ...expected[name].map(Math.abs));
    expected[name].forEach((v, i) => {
      expect(Math.abs(v - found[name][i]) / largest, `${name}[${i}]`).toBeLessThan(1e-5);
    });
  });

  test('none is left out', () => {
    const seen = new Set(g.nodesOf(Object.values(traced(B))).map(({ op }) => op.name));
    // Parameters are in the tests of whole backbones, dropout below.
    const elsewhere = ['parameter', 'dropoutMask', 'dropPathMask'];
    expect(Object.keys(table).filter((name) => !seen.has(name) && !elsewhere.includes(name))).toEqual([]);
  });
});

test('dropout drops nothing in a file', async () => {
  const file = await writeOnnx((batch) => {
    const seed = g.input('random', [2], { dtype: 'u32' });
    const x = g.dropPath(g.dropout(g.input('x', [batch, 3]), 0.5, seed, 1), 0.5, seed, 2);
    return {
      outputs: { y: x },
      read: async () => new Float32Array(0),
      name: 'dropout',
      version: '1',
      weights: 'embedded',
    };
  }, 2);
  const session = await openOnnx().open({ graph: file.graph, weights: null });
  const x = noise(6, 1);
  expect((await session.run({ x: { data: x, shape: [2, 3] } }))['y']).toEqual(x);
  await session.close();
});
