import { describe, expect, test } from 'vitest';
import { covered, levelAt, overlapOf, pyramidOf } from './pyramid.ts';

describe('the mask pyramid', () => {
  const { levels } = pyramidOf(5, 3, Uint32Array.of(0, 1, 4, 14));

  test('counts marked weights in squares, odd edges included', () => {
    expect(levels.map(({ rows, columns }) => [rows, columns])).toEqual([
      [5, 3],
      [3, 2],
      [2, 1],
      [1, 1],
    ]);
    expect([...levels[1]!.counts]).toEqual([3, 0, 0, 0, 0, 1]);
    expect([...levels[3]!.counts]).toEqual([4]);
  });

  test.each([
    [8, 0],
    [0.5, 0],
    [0.25, 1],
    [0.01, 3],
  ])('at %f pixels a weight draws level %i', (scale, level) => {
    expect(levelAt(scale, levels.length)).toBe(level);
  });
});

test('two masks share what both lists have', () => {
  expect(overlapOf(Uint32Array.of(1, 3, 5, 9), Uint32Array.of(0, 3, 9, 10))).toBe(2);
  expect(overlapOf(Uint32Array.of(), Uint32Array.of(1))).toBe(0);
});

test('a drag covers whole weights, in any direction, never outside', () => {
  expect(covered({ x: 2.5, y: 1.2 }, { x: 0.3, y: 3.9 }, 4, 4)).toEqual({
    top: 1,
    left: 0,
    bottom: 4,
    right: 3,
  });
  expect(covered({ x: -3, y: 9 }, { x: -1, y: 12 }, 4, 4)).toEqual({ top: 3, left: 0, bottom: 4, right: 1 });
});
