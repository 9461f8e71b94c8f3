import { describe, expect, test } from 'vitest';
import { noise } from '../../../gpu-shaders/testing/checkOp.ts';
import { matrixOf } from './matrix.ts';
import { addUpdates, drawn, interference, lines, overlap, restore, strongest, switchIn } from './sparse.ts';
import { svd } from './svd.ts';

function stream(seed: number) {
  let s = seed;
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
}

const update = (positions: Uint32Array, seed: number) => ({
  positions,
  values: noise(positions.length, seed),
});

describe('positions', () => {
  test('the strongest, the first of equal ones', () => {
    expect([...strongest(Float32Array.of(1, 3, 2, 3, 2, 2), 4)]).toEqual([1, 2, 3, 4]);
    expect([...strongest(Float32Array.of(1, 3), 5)]).toEqual([0, 1]);
  });

  test('drawn ones are distinct and spread evenly', () => {
    const hits = new Array(10).fill(0);
    const draw = stream(3);
    for (let i = 0; i < 3000; i++) for (const p of drawn(4, 10, draw)) hits[p]++;
    for (const h of hits) expect(Math.abs(h - 1200)).toBeLessThan(150);
    expect([...drawn(5, 5, draw)]).toEqual([0, 1, 2, 3, 4]);
  });

  test('lines are the diagonal, then whole rows and columns', () => {
    const found = lines(6, 4, 4 + 3 + 5 + 2, stream(5));
    expect(new Set(found).size).toBe(14);
    expect([0, 5, 10, 15].every((p) => found.includes(p))).toBe(true);
    const whole = (of: (p: number) => number, length: number, n: number) =>
      Array.from({ length }, (_, i) => found.filter((p) => of(p) === i).length).filter((c) => c >= n).length;
    expect(whole((p) => Math.floor(p / 4), 6, 4)).toBeGreaterThanOrEqual(1);
    expect(whole((p) => p % 4, 4, 6)).toBe(1);
    expect(lines(3, 3, 9, stream(1)).length).toBe(9);
  });
});

test('switching in changes exactly what it says, and out again to the bit', () => {
  const before = noise(500, 1);
  const weight = before.slice();
  const own = update(drawn(20, 500, stream(2)), 2);
  const undo = switchIn(weight, own);
  const changed = [...weight.keys()].filter((i) => weight[i] !== before[i]);
  expect(changed).toEqual([...own.positions]);
  restore(weight, undo);
  expect(new Uint32Array(weight.buffer)).toEqual(new Uint32Array(before.buffer));
});

test('updates add, in any order', () => {
  const a = { positions: Uint32Array.of(1, 4), values: Float32Array.of(2, 3) };
  const b = { positions: Uint32Array.of(0, 4), values: Float32Array.of(1, -1) };
  const sum = addUpdates([a, b], [1, 2]);
  expect([...sum.positions]).toEqual([0, 1, 4]);
  expect([...sum.values]).toEqual([2, 2, 1]);
  expect(addUpdates([b, a], [2, 1])).toEqual(sum);
  expect(overlap(a.positions, b.positions)).toEqual({ shared: 1, share: 1 / 3 });
});

// Bhardwaj et al., 2024, 4.2, on matrices of 128 by 128 with 2 % of their entries.
test('two per cent of a matrix have a high rank and hardly meet; a low-rank update of that size does neither', () => {
  const [side, count] = [128, 327];
  const [a, b] = [4, 9].map((seed) => update(drawn(count, side ** 2, stream(seed)), seed));
  const dense = new Float32Array(side ** 2);
  switchIn(dense, a);
  const { values } = svd(matrixOf({ shape: [side, side], data: dense }));
  expect(values.filter((v) => v > 1e-6 * values[0]).length).toBeGreaterThan(100);
  expect(overlap(a.positions, b.positions).shared).toBeLessThan(20);
  expect(interference(a, b, side).awor).toBeGreaterThan(0.94);

  const outer = (seed: number) => {
    const [u, v] = [noise(side, seed), noise(side, seed + 1)];
    const positions = Uint32Array.from({ length: side ** 2 }, (_, i) => i);
    return { positions, values: Float32Array.from(positions, (p) => u[Math.floor(p / side)] * v[p % side]) };
  };
  const low = interference(outer(1), outer(5), side);
  expect(low.awor).toBe(0);
  expect(low.awom).toBeGreaterThan(interference(a, b, side).awom);

  const rows = [0, 1].map((at) =>
    update(
      Uint32Array.from({ length: 64 }, (_, i) => at * side + i),
      7,
    ),
  );
  expect(interference(rows[0], rows[1], side)).toEqual({ awom: 0, awor: 1 });
});
