import { expect, test } from 'vitest';
import { resample } from './resample.ts';

const tone = (hertz: number, rate: number, seconds: number) =>
  Float32Array.from({ length: rate * seconds }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate));

/** Largest difference, the ends left out, where the filter reaches past the sound. */
const apart = (a: Float32Array, b: Float32Array, edge: number) =>
  a
    .subarray(edge, a.length - edge)
    .reduce((n, x, i) => Math.max(n, Math.abs(x - (b[i + edge] ?? Number.NaN))), 0);

test.each([
  [8000, 16000, 3000],
  [44100, 16000, 5000],
  [48000, 16000, 6500],
  [16000, 44100, 6000],
  [11025, 16000, 4000],
])('%i to %i Hz keeps a tone of %i Hz', (from, to, hertz) => {
  const found = resample(tone(hertz, from, 0.2), from, to);
  expect(found.length).toBe(Math.ceil(to * 0.2));
  expect(apart(found, tone(hertz, to, 0.2), 400)).toBeLessThan(1e-3);
});

test('what lies above half of the new rate is gone', () => {
  const found = resample(tone(9000, 44100, 0.2), 44100, 16000);
  expect(apart(found, new Float32Array(found.length), 400)).toBeLessThan(1e-3);
});

test('a steady value stays, and the same rate changes nothing', () => {
  const ones = new Float32Array(2000).fill(1);
  expect(
    apart(resample(ones, 22050, 16000), new Float32Array(2000).fill(1).subarray(0, 1452), 200),
  ).toBeLessThan(1e-6);
  expect(resample(ones, 16000, 16000)).toBe(ones);
  expect(resample(new Float32Array(0), 8000, 16000).length).toBe(0);
});
