import { describe, expect, test } from 'vitest';
import { candidates, drawsOf, likeliest, SampleError, sampleToken } from './sample.ts';

const logits = Float32Array.from([0.5, 2, -1, 2, 1]);
const exp = [...logits].map(Math.exp);
const total = exp.reduce((a, b) => a + b, 0);

test('greedy takes the first of the largest', () => {
  expect(likeliest(logits)).toBe(1);
  expect(sampleToken(logits, { temperature: 0, topP: 1 }, () => 0.99)).toBe(1);
});

describe('candidates', () => {
  test('all, by their softmax', () => {
    const { ids, probabilities } = candidates(logits, { temperature: 1, topP: 1 });
    expect([...ids]).toEqual([1, 3, 4, 0, 2]);
    probabilities.forEach((p, i) => {
      expect(p).toBeCloseTo(exp[ids[i]] / total, 12);
    });
  });

  test('a temperature divides the logits', () => {
    const { probabilities } = candidates(logits, { temperature: 0.5, topP: 1 });
    const sharp = exp.map((x) => x * x);
    expect(probabilities[0]).toBeCloseTo(sharp[1] / sharp.reduce((a, b) => a + b, 0), 12);
  });

  test.each([
    [1e-9, [1]],
    [exp[1] / total, [1]],
    [exp[1] / total + 1e-9, [1, 3]],
    [0.95, [1, 3, 4, 0]],
  ])('a share of %f keeps the fewest tokens that have it', (topP, kept) => {
    const { ids, probabilities } = candidates(logits, { temperature: 1, topP });
    expect([...ids]).toEqual(kept);
    expect(probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
  });

  test('masked words are never drawn, large logits overflow nothing', () => {
    const large = Float32Array.from([1e4, Number.NEGATIVE_INFINITY, 1e4 - 1]);
    const { ids, probabilities } = candidates(large, { temperature: 1, topP: 0.999999 });
    expect([...ids]).toEqual([0, 2]);
    expect(probabilities[1]).toBeCloseTo(1 / (1 + Math.E), 6);
  });

  test.each([
    [-1, 1],
    [1, 0],
    [1, 1.5],
    [Number.NaN, 1],
  ])('a temperature of %f and a share of %f are refused', (temperature, topP) => {
    expect(() => candidates(logits, { temperature, topP })).toThrow(SampleError);
  });

  test('scores that are no numbers are refused', () => {
    expect(() => likeliest(Float32Array.from([1, Number.NaN]))).toThrow(/no number/);
  });
});

test('tokens are drawn as often as they are likely, the same ones for a seed', () => {
  const options = { temperature: 1, topP: 0.9 };
  const { ids, probabilities } = candidates(logits, options);
  const draw = drawsOf(5);
  const tokens = Array.from({ length: 20000 }, () => sampleToken(logits, options, draw));
  ids.forEach((id, i) => {
    expect(tokens.filter((t) => t === id).length / tokens.length).toBeCloseTo(probabilities[i], 2);
  });
  const again = drawsOf(5);
  expect(tokens.slice(0, 50)).toEqual(Array.from({ length: 50 }, () => sampleToken(logits, options, again)));
  const other = drawsOf(5, 1);
  expect(tokens.slice(0, 50)).not.toEqual(
    Array.from({ length: 50 }, () => sampleToken(logits, options, other)),
  );
});

test('a draw of almost one takes the last candidate', () => {
  expect(sampleToken(logits, { temperature: 1, topP: 1 }, () => 1 - 1e-16)).toBe(2);
});
