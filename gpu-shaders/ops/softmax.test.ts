import { describe, expect, test } from 'vitest';
import { constant } from '../graph/leaves.ts';
import { checkOp, close } from '../testing/checkOp.ts';
import { evaluate } from '../testing/evaluate.ts';
import { mul } from './elementwise.ts';
import { logSoftmax, softmax } from './softmax.ts';

const rows = (x: Float64Array, c: number, log: boolean) => {
  const y = new Float64Array(x.length);
  for (let r = 0; r < x.length; r += c) {
    const sum = x.subarray(r, r + c).reduce((a, v) => a + Math.exp(v), 0);
    for (let j = 0; j < c; j++) y[r + j] = log ? x[r + j] - Math.log(sum) : Math.exp(x[r + j]) / sum;
  }
  return y;
};

describe('softmax', () => {
  for (const shape of [
    [1, 1],
    [3, 7],
    [2, 3, 8],
  ]) {
    test(`[${shape}]`, () =>
      checkOp({
        shapes: [shape],
        build: (x) => mul(softmax(x), 2),
        reference: (x) => rows(x, shape.at(-1)!, false).map((v) => 2 * v),
      }));
    test(`log [${shape}]`, () =>
      checkOp({
        shapes: [shape],
        build: (x) => logSoftmax(x),
        reference: (x) => rows(x, shape.at(-1)!, true),
      }));
  }

  for (const width of [64, 130, 132])
    for (const log of [false, true])
      test(`${log ? 'log ' : ''}[3,${width}], a workgroup a row`, () =>
        checkOp({
          shapes: [[3, width]],
          target: { rows: 'group' },
          build: (x) => (log ? logSoftmax(x) : softmax(x)),
          reference: (x) => rows(x, width, log),
        }));

  test('large and far apart values stay finite', async () => {
    const x = constant(Float32Array.of(3e4, -3e4, 3e4, 0, -1e30, -1e30, -1e30, -1e30), [2, 4]);
    const { p, l } = await evaluate({ p: softmax(x), l: logSoftmax(x) });
    close(p, [0.5, 0, 0.5, 0, 0.25, 0.25, 0.25, 0.25], 1e-6);
    expect([...l].every(Number.isFinite)).toBe(true);
  });
});
