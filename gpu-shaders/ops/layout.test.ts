import { describe, expect, test } from 'vitest';
import { constant } from '../graph/leaves.ts';
import { sizeOf, stridesOf } from '../graph/tensor.ts';
import { checkOp } from '../testing/checkOp.ts';
import { asU32, evaluate } from '../testing/evaluate.ts';
import { mul } from './elementwise.ts';
import { concat, nchwToNhwc, pad, slice, squeeze, stack, transpose, unsqueeze } from './layout.ts';

/** Output of `shape` whose element at coordinates c is `value(c)`. */
function build(shape: readonly number[], value: (c: number[]) => number): Float64Array {
  const strides = stridesOf(shape);
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) =>
    value(shape.map((n, d) => Math.floor(i / strides[d]) % n)),
  );
}
const at = (x: Float64Array, shape: readonly number[], c: readonly number[]) => {
  const strides = stridesOf(shape);
  return c.some((v, d) => v < 0 || v >= shape[d]) ? 0 : x[c.reduce((n, v, d) => n + v * strides[d], 0)];
};

describe('transpose', () => {
  for (const [shape, perm] of [
    [
      [3, 5],
      [1, 0],
    ],
    [
      [2, 3, 4],
      [2, 0, 1],
    ],
    [
      [2, 3, 1, 5],
      [0, 2, 3, 1],
    ],
  ] as [number[], number[]][])
    test(`[${shape}] to [${perm}]`, () =>
      checkOp({
        shapes: [shape],
        build: (x) => mul(transpose(x, perm), 3),
        reference: (x) =>
          build(
            perm.map((p) => shape[p]),
            (c) =>
              3 *
              at(
                x,
                shape,
                perm.map((_, i) => c[perm.indexOf(i)]),
              ),
          ),
      }));
  test('u32 keeps its type', async () => {
    const { y } = await evaluate({
      y: transpose(constant(Uint32Array.of(1, 2, 3, 4e9, 5, 6), [2, 3]), [1, 0]),
    });
    expect(asU32(y)).toEqual([1, 4e9, 2, 5, 3, 6]);
  });
  test('NCHW to NHWC', async () => {
    const x = constant(
      Float32Array.from({ length: 12 }, (_, i) => i),
      [1, 3, 2, 2],
    );
    const { y } = await evaluate({ y: nchwToNhwc(x) });
    expect([...y]).toEqual([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
  });
});

describe('slice and pad', () => {
  test('a box inside', () =>
    checkOp({
      shapes: [[3, 5, 7]],
      build: (x) => slice(x, [1, 0, 2], [2, 5, 3]),
      reference: (x) => build([2, 5, 3], ([a, b, c]) => at(x, [3, 5, 7], [a + 1, b, c + 2])),
    }));
  test('to the end, and padded on one side', () =>
    checkOp({
      shapes: [[4, 3]],
      build: (x) => pad(slice(x, [1, 1], [-1, -1]), [0, 2], [1, 0]),
      reference: (x) => build([4, 4], ([a, b]) => (b < 2 ? 0 : at(x.slice(3), [3, 3], [a, b - 1]))),
    }));
  test('padding with a value, an empty part of a concat', async () => {
    const x = constant(Float32Array.of(1, 2), [2]);
    const { y } = await evaluate({ y: pad(concat([slice(x, [1], [0]), x], 0), [1], [2], -4) });
    expect([...y]).toEqual([-4, 1, 2, -4, -4]);
  });
});

describe('concat', () => {
  test('three along a middle axis, one frozen', () =>
    checkOp({
      shapes: [
        [2, 1, 3],
        [2, 4, 3],
        [2, 2, 3],
      ],
      frozen: [1],
      build: (a, b, c) => concat([a, b, c], 1),
      reference: (a, b, c) =>
        build([2, 7, 3], ([i, j, k]) =>
          j < 1
            ? at(a, [2, 1, 3], [i, j, k])
            : j < 5
              ? at(b, [2, 4, 3], [i, j - 1, k])
              : at(c, [2, 2, 3], [i, j - 5, k]),
        ),
    }));
  test('more parts than a kernel binds', () =>
    checkOp({
      shapes: Array.from({ length: 7 }, () => [3]),
      build: (...xs) => concat(xs, -1),
      reference: (...xs) => xs.flatMap((x) => [...x]),
    }));
  test('stack, unsqueeze, squeeze', () =>
    checkOp({
      shapes: [
        [2, 3],
        [2, 3],
      ],
      build: (a, b) => squeeze(unsqueeze(stack([a, b], -1), 0), 0),
      reference: (a, b) => build([2, 3, 2], ([i, j, k]) => (k ? b : a)[i * 3 + j]),
    }));
});
