import { expect, test } from 'vitest';
import { margin, showMargin } from './paired.ts';

test('a margin counts the pictures that only one of the two gets right', () => {
  const hits = (n: number, right: number) => Array.from({ length: n }, (_, i) => i < right);
  // 30 won, 0 lost of 200: the difference's deviation is sqrt(30 - 900 / 200) / 200.
  const m = margin(hits(200, 190), hits(200, 160));
  expect(m.difference).toBeCloseTo(0.15, 12);
  expect(m.high - m.low).toBeCloseTo((2 * 1.959964 * Math.sqrt(30 - 4.5)) / 200, 12);
  expect(margin([true, false], [false, true]).difference).toBe(0);
  expect(showMargin({ difference: -0.05, low: -0.1, high: 0 })).toBe('-5.0 points (-10.0 to 0.0)');
});
