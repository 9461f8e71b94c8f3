import { describe, expect, test } from 'vitest';
import { byteSize, packedLayout, type QuantisedDType, type Shape, sizeOf } from './graph/tensor.ts';
import { dequantise, nf4Values, QuantiseError, quantise } from './quantise.ts';
import { noise } from './testing/checkOp.ts';

/** The standard normal distribution function, by the series of its integral: exact to 1e-14 for |x| < 3. */
function below(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / (2 * n);
    sum += term / (2 * n + 1);
  }
  return 0.5 + sum / Math.sqrt(2 * Math.PI);
}

/** Where the standard normal distribution reaches p. */
function quantile(p: number): number {
  let [low, high] = [-3, 3];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (below(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

test('the values of NF4 are the quantiles that define it', () => {
  // bitsandbytes' construction: evenly spaced probabilities up to 0.9677083, eight above zero and seven below.
  const most = 0.9677083;
  const side = (n: number) =>
    Array.from({ length: n - 1 }, (_, i) => quantile(most + ((0.5 - most) * i) / (n - 1)));
  const values = [...side(9), 0, ...side(8).map((v) => -v)].sort((a, b) => a - b);
  const top = Math.max(...values);
  expect(nf4Values).toHaveLength(16);
  for (const [i, v] of values.entries()) expect(nf4Values[i]).toBeCloseTo(v / top, 6);
});

const shapes: Shape[] = [
  [1, 1],
  [3, 5],
  [7, 64],
  [5, 3, 3, 3],
  [33, 130],
];

describe.each<QuantisedDType>(['int8', 'nf4'])('%s', (dtype) => {
  test.each(shapes.map((s) => [s]))(
    '[%s] comes back near, and quantised again as the same words',
    (shape) => {
      const type = { shape, dtype };
      const values = noise(sizeOf(shape), 7).map((v, i) => v * (1 + (i % 3)));
      const words = quantise(values, type);
      expect(words.byteLength).toBe(byteSize(type));
      const back = dequantise(words, type);
      expect(quantise(back, type)).toEqual(words);
      const { per } = packedLayout(type);
      for (let from = 0; from < values.length; from += per) {
        const row = values.slice(from, from + per);
        const top = Math.max(...row.map(Math.abs));
        // Half a step: 1/127 of the largest, or the widest gap between values of NF4.
        const bound = top * (dtype === 'int8' ? 0.5 / 127 : (1 - 0.6961928) / 2);
        for (const [i, v] of row.entries())
          expect(Math.abs(v - back[from + i])).toBeLessThanOrEqual(bound * 1.00001);
      }
    },
  );

  test('every code comes back as it was', () => {
    const levels = dtype === 'int8' ? Array.from({ length: 255 }, (_, i) => (i - 127) / 127) : nf4Values;
    const shape = [9, 64 * Math.ceil(levels.length / 64)];
    for (const scale of [1, 0.37, 1e-20, 3e30]) {
      const values = Float32Array.from(
        { length: sizeOf(shape) },
        (_, i) => scale * levels[i % levels.length],
      );
      const type = { shape, dtype };
      const back = dequantise(quantise(values, type), type);
      for (const [i, v] of values.entries()) expect(Math.abs(back[i] - v)).toBeLessThanOrEqual(2e-7 * scale);
    }
  });

  test('zeros are zero, and what is no number is refused', () => {
    const type = { shape: [2, 70], dtype };
    expect(dequantise(quantise(new Float32Array(140), type), type).every((v) => v === 0)).toBe(true);
    expect(() => quantise(new Float32Array(140).fill(Number.NaN), type)).toThrow(QuantiseError);
  });
});

test('bytes: one a value and four a row, or half a byte and four for 64', () => {
  const shape = [384, 1536];
  expect(byteSize({ shape, dtype: 'int8' })).toBe(384 * 1536 + 4 * 384);
  expect(byteSize({ shape, dtype: 'nf4' })).toBe((384 * 1536) / 2 + (4 * 384 * 1536) / 64);
});
