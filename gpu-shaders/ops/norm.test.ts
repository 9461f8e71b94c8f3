import { describe, test } from 'vitest';
import { checkOp } from '../testing/checkOp.ts';
import { add } from './elementwise.ts';
import { linear } from './linear.ts';
import { layerNorm, rmsNorm } from './norm.ts';

function norm(x: Float64Array, c: number, eps: number, centre: boolean, w?: Float64Array, b?: Float64Array) {
  const y = new Float64Array(x.length);
  for (let r = 0; r < x.length; r += c) {
    const row = x.subarray(r, r + c);
    const mean = centre ? row.reduce((a, v) => a + v, 0) / c : 0;
    const rstd = 1 / Math.sqrt(row.reduce((a, v) => a + (v - mean) ** 2, 0) / c + eps);
    for (let j = 0; j < c; j++) y[r + j] = (row[j] - mean) * rstd * (w?.[j] ?? 1) + (b?.[j] ?? 0);
  }
  return y;
}

describe('layerNorm', () => {
  for (const shape of [
    [1, 5],
    [3, 8],
    [2, 3, 7],
  ])
    test(`[${shape}] with weight and bias`, () => {
      const c = shape.at(-1)!;
      return checkOp({
        shapes: [shape, [c], [c]],
        build: (x, w, b) => layerNorm(x, w, b, 1e-5),
        reference: (x, w, b) => norm(x, c, 1e-5, true, w, b),
      });
    });

  test('without weight, with a map behind it, frozen bias', () =>
    checkOp({
      shapes: [[5, 12], [12]],
      frozen: [1],
      build: (x, b) => add(layerNorm(x, null, b, 1e-6), x),
      reference: (x, b) => norm(x, 12, 1e-6, true, undefined, b).map((v, i) => v + x[i]),
    }));
});

describe('rmsNorm', () => {
  for (const shape of [
    [1, 3],
    [7, 8],
  ])
    test(`[${shape}]`, () => {
      const c = shape.at(-1)!;
      return checkOp({
        shapes: [shape, [c]],
        build: (x, w) => rmsNorm(x, w, 1e-6),
        reference: (x, w) => norm(x, c, 1e-6, false, w),
      });
    });
  test('without weight', () =>
    checkOp({
      shapes: [[2, 5]],
      build: (x) => rmsNorm(x, null, 1e-6),
      reference: (x) => norm(x, 5, 1e-6, false),
    }));
});

describe('a workgroup a row', () => {
  for (const width of [64, 130, 132])
    test(`layerNorm of rows of ${width}`, () =>
      checkOp({
        shapes: [[3, width], [width], [width]],
        frozen: [1, 2],
        target: { rows: 'group' },
        build: (x, w, b) => add(layerNorm(x, w, b, 1e-5), x),
        reference: (x, w, b) => norm(x, width, 1e-5, true, w, b).map((v, i) => v + x[i]),
      }));
  test('rmsNorm', () =>
    checkOp({
      shapes: [[2, 68], [68]],
      frozen: [1],
      target: { rows: 'group' },
      build: (x, w) => rmsNorm(x, w, 1e-6),
      reference: (x, w) => norm(x, 68, 1e-6, false, w),
    }));
});

describe('linear', () => {
  test('[2,3,5] to 7, with bias', () =>
    checkOp({
      shapes: [[2, 3, 5], [7, 5], [7]],
      build: (x, w, b) => linear(x, w, b),
      reference: (x, w, b) =>
        Float64Array.from({ length: 42 }, (_, i) => {
          const [r, o] = [Math.floor(i / 7), i % 7];
          let y = b[o];
          for (let k = 0; k < 5; k++) y += x[r * 5 + k] * w[o * 5 + k];
          return y;
        }),
    }));
});
