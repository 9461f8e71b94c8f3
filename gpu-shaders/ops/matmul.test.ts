import { describe, test } from 'vitest';
import { formsFor } from '../compile/target.ts';
import { checkOp } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { add, gelu, mul } from './elementwise.ts';
import { matmul } from './matmul.ts';

/** Float64 product of [batch, m, k] and [k, n] or [batch, k, n], either stored transposed. */
function product64(
  a: Float64Array,
  b: Float64Array,
  batch: number,
  m: number,
  k: number,
  n: number,
  ta: boolean,
  tb: boolean,
) {
  const sharedB = b.length === k * n;
  const y = new Float64Array(batch * m * n);
  for (let z = 0; z < batch; z++)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++)
        for (let r = 0; r < k; r++)
          y[(z * m + i) * n + j] +=
            a[z * m * k + (ta ? r * m + i : i * k + r)] *
            b[(sharedB ? 0 : z * k * n) + (tb ? j * k + r : r * n + j)];
  return y;
}

describe('matmul', () => {
  for (const [ta, tb] of [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ] as const)
    for (const [m, k, n] of [
      [1, 1, 1],
      [5, 7, 3],
      [9, 8, 12],
      [17, 12, 8],
      [8, 6, 20],
      [12, 5, 4],
    ] as const)
      test(`${m}x${k}x${n}${ta ? ' aT' : ''}${tb ? ' bT' : ''}`, () =>
        checkOp({
          shapes: [ta ? [k, m] : [m, k], tb ? [n, k] : [k, n]],
          build: (a, b) => matmul(a, b, { ta, tb }),
          reference: (a, b) => product64(a, b, 1, m, k, n, ta, tb),
        }));

  for (const [ta, tb, shared] of [
    [false, true, true],
    [false, false, false],
    [true, true, false],
  ] as const)
    test(`batched${ta ? ' aT' : ''}${tb ? ' bT' : ''}${shared ? ' shared b' : ''}`, () =>
      checkOp({
        shapes: [ta ? [3, 8, 5] : [3, 5, 8], [...(shared ? [] : [3]), ...(tb ? [7, 8] : [8, 7])]],
        build: (a, b) => matmul(a, b, { ta, tb }),
        reference: (a, b) => product64(a, b, 3, 5, 8, 7, ta, tb),
      }));

  test('with bias, activation and residual behind it', () =>
    checkOp({
      shapes: [[6, 8], [8, 8], [8], [6, 8]],
      build: (a, b, bias, res) => add(mul(gelu(add(matmul(a, b), bias), 'tanh'), 2), res),
      reference: (a, b, bias, res) =>
        product64(a, b, 1, 6, 8, 8, false, false).map((v, i) => {
          const x = v + bias[i % 8];
          return x * (1 + Math.tanh(0.7978845608028654 * (x + 0.044715 * x ** 3))) + res[i];
        }),
    }));

  for (const product of ['quad', 'tall'] as const)
    for (const [m, k, n, tb] of [
      [9, 8, 33, true],
      [70, 5, 40, false],
    ] as const)
      test(`${m}x${k}x${n}${tb ? ' bT' : ''}, ${product} form`, async ({ skip }) => {
        const { info } = await testGpu();
        if (!formsFor(info).includes(product)) skip('This adapter has no subgroups.');
        await checkOp({
          shapes: [[2, m, k], [2, ...(tb ? [n, k] : [k, n])], [n]],
          frozen: [1, 2],
          target: { product },
          build: (a, b, bias) => add(matmul(a, b, { tb }), bias),
          reference: (a, b, bias) => product64(a, b, 2, m, k, n, false, tb).map((v, i) => v + bias[i % n]),
        });
      });

  for (const [m, k, n, ta, tb] of [
    [70, 21, 66, false, false],
    [36, 20, 67, false, true],
    [68, 18, 33, true, false],
    [33, 16, 40, true, true],
  ] as const)
    test(`${m}x${k}x${n}${ta ? ' aT' : ''}${tb ? ' bT' : ''}, tiles in workgroup memory`, () =>
      checkOp({
        shapes: [[2, ...(ta ? [k, m] : [m, k])], [2, ...(tb ? [n, k] : [k, n])], [n]],
        frozen: [0, 1, 2],
        target: { product: 'shared' },
        build: (a, b, bias) => add(matmul(a, b, { ta, tb }), bias),
        reference: (a, b, bias) => product64(a, b, 2, m, k, n, ta, tb).map((v, i) => v + bias[i % n]),
      }));

  test('factors in f16, sums in f32', async ({ skip }) => {
    const { info } = await testGpu();
    if (!info.features.includes('shader-f16')) skip('This adapter has no f16 arithmetic.');
    await checkOp({
      shapes: [
        [40, 36],
        [36, 48],
      ],
      frozen: [0, 1],
      target: { product: 'shared', half: true },
      tolerance: 2e-3,
      build: (a, b) => matmul(a, b),
      reference: (a, b) => product64(a, b, 1, 40, 36, 48, false, false),
    });
  });
});
