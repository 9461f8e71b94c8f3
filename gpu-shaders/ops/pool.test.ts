import { describe, test } from 'vitest';
import type { WindowOptions } from '../kernels/window.ts';
import { checkOp } from '../testing/checkOp.ts';
import { avgPool2d, maxPool2d } from './pool.ts';
import { mean } from './reduce.ts';

interface Case extends WindowOptions {
  x: [number, number, number, number];
  size: [number, number];
  step: number;
  out: [number, number];
  at: [number, number];
}

/** Pools windows by `fold` of the elements inside the input, and the number of places of the whole window. */
function reference(c: Case, x: Float64Array, fold: (inside: number[], all: number) => number) {
  const [b, h, w, ch] = c.x;
  const [oh, ow] = c.out;
  return Float64Array.from({ length: b * oh * ow * ch }, (_, i) => {
    const inside: number[] = [];
    for (let ky = 0; ky < c.size[0]; ky++)
      for (let kx = 0; kx < c.size[1]; kx++) {
        const y = (Math.floor(i / (ch * ow)) % oh) * c.step + ky - c.at[0];
        const px = (Math.floor(i / ch) % ow) * c.step + kx - c.at[1];
        const z = Math.floor(i / (ch * ow * oh));
        if (y >= 0 && px >= 0 && y < h && px < w) inside.push(x[((z * h + y) * w + px) * ch + (i % ch)]);
      }
    return fold(inside, c.size[0] * c.size[1]);
  });
}
const sum = (v: number[]) => v.reduce((a, x) => a + x, 0);

const cases: Record<string, Case> = {
  'windows side by side': { x: [2, 4, 6, 3], size: [2, 2], step: 2, out: [2, 3], at: [0, 0] },
  'overlapping, padded': {
    x: [1, 5, 7, 2],
    size: [3, 3],
    stride: 2,
    padding: 1,
    step: 2,
    out: [3, 4],
    at: [1, 1],
  },
  "TensorFlow's same": {
    x: [1, 6, 5, 1],
    size: [3, 2],
    stride: 2,
    padding: 'same',
    step: 2,
    out: [3, 3],
    at: [0, 0],
  },
};

describe('pooling', () => {
  for (const [name, c] of Object.entries(cases)) {
    const { size, step: _, out: __, at: ___, x, ...options } = c;
    test(`max, ${name}`, () =>
      checkOp({
        shapes: [x],
        build: (t) => maxPool2d(t, size, options),
        reference: (t) => reference(c, t, (v) => Math.max(...v)),
      }));
    test(`average, ${name}`, () =>
      checkOp({
        shapes: [x],
        build: (t) => avgPool2d(t, size, options),
        reference: (t) => reference(c, t, (v, all) => sum(v) / all),
      }));
    test(`average of what lies inside, ${name}`, () =>
      checkOp({
        shapes: [x],
        build: (t) => avgPool2d(t, size, { ...options, countPadding: false }),
        reference: (t) => reference(c, t, (v) => sum(v) / v.length),
      }));
  }
  test('global average', () =>
    checkOp({
      shapes: [[2, 3, 5, 4]],
      build: (t) => mean(t, [1, 2]),
      reference: (t) =>
        Float64Array.from({ length: 8 }, (_, i) => {
          let s = 0;
          for (let p = 0; p < 15; p++) s += t[(Math.floor(i / 4) * 15 + p) * 4 + (i % 4)];
          return s / 15;
        }),
    }));
});
