import { describe, expect, test } from 'vitest';
import { parameter } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { type Conv2dOptions, conv2d } from './conv2d.ts';
import { add } from './elementwise.ts';

interface Case extends Conv2dOptions {
  x: [number, number, number, number];
  w: [number, number, number, number];
  /** Output rows and columns, and the padding above and to the left, written out by hand. */
  out: [number, number];
  at: [number, number];
  frozen?: number[];
}

function reference(c: Case, x: Float64Array, w: Float64Array): Float64Array {
  const [b, h, width, ch] = c.x;
  const [o, ci, kh, kw] = c.w;
  const [oh, ow] = c.out;
  const s = (c.stride ?? 1) as number;
  const d = (c.dilation ?? 1) as number;
  const y = new Float64Array(b * oh * ow * o);
  for (let i = 0; i < y.length; i++) {
    const f = i % o;
    const px = Math.floor(i / o) % ow;
    const py = Math.floor(i / (o * ow)) % oh;
    const z = Math.floor(i / (o * ow * oh));
    const c0 = Math.floor((f * (c.groups ?? 1)) / o) * ci;
    for (let e = 0; e < ci; e++)
      for (let ky = 0; ky < kh; ky++)
        for (let kx = 0; kx < kw; kx++) {
          const iy = py * s + ky * d - c.at[0];
          const ix = px * s + kx * d - c.at[1];
          if (iy < 0 || ix < 0 || iy >= h || ix >= width) continue;
          y[i] += x[((z * h + iy) * width + ix) * ch + c0 + e] * w[((f * ci + e) * kh + ky) * kw + kx];
        }
  }
  return y;
}

const cases: Record<string, Case> = {
  '1×1': { x: [2, 3, 5, 4], w: [3, 4, 1, 1], out: [3, 5], at: [0, 0] },
  '1×1, stride 2': { x: [1, 5, 4, 3], w: [2, 3, 1, 1], stride: 2, out: [3, 2], at: [0, 0] },
  '3×3, padding 1, stride 2': {
    x: [2, 5, 4, 3],
    w: [5, 3, 3, 3],
    stride: 2,
    padding: 1,
    out: [3, 2],
    at: [1, 1],
  },
  "3×3, stride 2, TensorFlow's same on even sizes": {
    x: [1, 6, 4, 2],
    w: [3, 2, 3, 3],
    stride: 2,
    padding: 'same',
    out: [3, 2],
    at: [0, 0],
  },
  'same on odd sizes': {
    x: [1, 5, 5, 1],
    w: [2, 1, 3, 3],
    stride: 2,
    padding: 'same',
    out: [3, 3],
    at: [1, 1],
  },
  'uneven sides, dilation 2': {
    x: [1, 6, 5, 2],
    w: [2, 2, 2, 3],
    dilation: 2,
    padding: [1, 0, 2, 1],
    out: [5, 4],
    at: [1, 2],
  },
  'patches, frozen weight': {
    x: [2, 4, 6, 3],
    w: [5, 3, 2, 2],
    stride: 2,
    out: [2, 3],
    at: [0, 0],
    frozen: [1],
  },
  'depthwise 3×3': { x: [2, 4, 5, 3], w: [3, 1, 3, 3], groups: 3, padding: 1, out: [4, 5], at: [1, 1] },
  'depthwise 5×5, stride 2, same': {
    x: [1, 6, 7, 4],
    w: [4, 1, 5, 5],
    groups: 4,
    stride: 2,
    padding: 'same',
    out: [3, 4],
    at: [1, 2],
  },
  'depthwise 3×3, four channels, more than a run': {
    x: [1, 3, 11, 8],
    w: [8, 1, 3, 3],
    groups: 8,
    padding: 1,
    out: [3, 11],
    at: [1, 1],
  },
  'depthwise, uneven sides, dilation 2': {
    x: [1, 6, 5, 4],
    w: [4, 1, 2, 3],
    groups: 4,
    dilation: 2,
    padding: [1, 0, 2, 1],
    out: [5, 4],
    at: [1, 2],
  },
  'depthwise, padding wider than the kernel': {
    x: [1, 3, 3, 2],
    w: [2, 1, 2, 2],
    groups: 2,
    padding: 2,
    out: [6, 6],
    at: [2, 2],
  },
  'two groups': {
    x: [1, 4, 3, 4],
    w: [6, 2, 3, 2],
    groups: 2,
    padding: [1, 1, 0, 0],
    out: [4, 2],
    at: [1, 0],
  },
  'channel multiplier 2, frozen input': {
    x: [2, 3, 3, 2],
    w: [4, 1, 2, 2],
    groups: 2,
    out: [2, 2],
    at: [0, 0],
    frozen: [0],
  },
};

describe('conv2d', () => {
  for (const [name, c] of Object.entries(cases))
    test(name, () =>
      checkOp({
        shapes: [c.x, c.w],
        frozen: c.frozen,
        build: (x, w) => add(conv2d(x, w, c), 1),
        reference: (x, w) => reference(c, x, w).map((v) => v + 1),
      }),
    );

  test('a weight that does not fit is refused', () => {
    const x = parameter('x', [1, 4, 4, 3]);
    expect(() => conv2d(x, parameter('w', [8, 4, 3, 3]))).toThrow(/does not fit/);
    expect(() => conv2d(x, parameter('w', [8, 3, 7, 7]))).toThrow(/window of 7×7/);
  });
});
