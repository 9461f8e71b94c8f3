import { describe, expect, test } from 'vitest';
import { Submits, split } from './submits.ts';

describe('submissions', () => {
  test('a short run is one', () => {
    expect(split([10, 20, 30], 200)).toEqual([0]);
    expect(split([], 200)).toEqual([0]);
    expect(split([0, 0], 200)).toEqual([0]);
  });

  test('a long run is cut into as many as its time takes, of about equal time', () => {
    const items = Array.from({ length: 97 }, (_, i) => 5 + (i % 7));
    const total = items.reduce((a, b) => a + b, 0);
    const starts = split(items, 200);
    expect(starts).toHaveLength(Math.ceil(total / 200));
    const sums = starts.map((s, i) => items.slice(s, starts[i + 1]).reduce((a, b) => a + b, 0));
    expect(Math.max(...sums)).toBeLessThan(200 + 11);
    expect(Math.min(...sums)).toBeGreaterThan(150);
  });

  test('a dispatch above the limit stands alone', () => {
    expect(split([1, 900, 1], 200)).toEqual([0, 1, 2]);
  });

  test('cuts follow the clock once a run was timed', () => {
    const cuts = new Submits(Array(100).fill(1), false);
    expect(cuts.starts).toEqual([0]);
    expect(cuts.timesNext()).toBe(true);
    cuts.timed(cuts.starts, [1000]);
    expect(cuts.starts).toEqual([0, 20, 40, 60, 80]);
    expect(cuts.milliseconds).toBe(1000);
    // The first half of the work turns out to be the quick one.
    expect(cuts.timesNext()).toBe(true);
    cuts.timed(cuts.starts, [50, 50, 100, 300, 300]);
    expect(cuts.starts).toHaveLength(4);
    expect(cuts.starts[1]).toBeGreaterThan(40);
    expect(cuts.timesNext()).toBe(false);
  });

  test('a software adapter begins with cuts by work', () => {
    expect(new Submits([8e8, 8e8, 8e8], true).starts).toHaveLength(3);
  });
});
