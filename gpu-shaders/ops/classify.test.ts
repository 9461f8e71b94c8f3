import { describe, expect, test } from 'vitest';
import { constant } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { asU32, evaluate } from '../testing/evaluate.ts';
import { accuracyHits, argmax, crossEntropy } from './classify.ts';

/** PyTorch's cross entropy, rows without a valid label giving zero. */
function reference(x: Float64Array, labels: ArrayLike<number>, s = 0, weights?: readonly number[]) {
  const c = x.length / labels.length;
  return Float64Array.from(labels, (label, r) => {
    const row = x.subarray(r * c, r * c + c);
    if (label < 0 || label >= c) return 0;
    const lse = Math.log(row.reduce((a, v) => a + Math.exp(v), 0));
    const mean = row.reduce((a, v) => a + v, 0) / c;
    return (weights?.[r] ?? 1) * ((1 - s) * (lse - row[label]) + s * (lse - mean));
  });
}

describe('crossEntropy', () => {
  const labels = Int32Array.of(4, 0, -100, 2, 5);
  test('i32 labels, two of them out of range', () =>
    checkOp({
      shapes: [[5, 5]],
      build: (x) => crossEntropy(x, constant(labels, [5])),
      reference: (x) => reference(x, labels),
    }));
  test('batch 1, u32 labels', () =>
    checkOp({
      shapes: [[1, 3]],
      build: (x) => crossEntropy(x, constant(Uint32Array.of(1), [1])),
      reference: (x) => reference(x, [1]),
    }));
  test('weights and label smoothing', () => {
    const weights = [1, 0.5, 2, 0, 1];
    return checkOp({
      shapes: [[5, 7]],
      build: (x) =>
        crossEntropy(x, constant(labels, [5]), {
          weights: constant(Float32Array.from(weights), [5]),
          labelSmoothing: 0.1,
        }),
      reference: (x) => reference(x, labels, 0.1, weights),
    });
  });
});

describe('argmax and accuracyHits', () => {
  test('the first of equals wins', async () => {
    const x = constant(Float32Array.of(1, 3, 3, -2, -1, -5, 0, 0, 9), [3, 3]);
    const { top, hits } = await evaluate({
      top: argmax(x),
      hits: accuracyHits(x, constant(Int32Array.of(1, 0, 2), [3])),
    });
    expect(asU32(top)).toEqual([1, 1, 2]);
    expect([...hits]).toEqual([1, 0, 1]);
  });
});
