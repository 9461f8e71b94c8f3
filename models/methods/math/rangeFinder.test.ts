import { expect, test } from 'vitest';
import { noise } from '../../../gpu-shaders/testing/checkOp.ts';
import { gram, identity, type Matrix, multiply, transpose } from './matrix.ts';
import { topDirections } from './rangeFinder.ts';
import { svd } from './svd.ts';

const random = (rows: number, columns: number, seed: number): Matrix => ({
  rows,
  columns,
  data: Float64Array.from(noise(rows * columns, seed)),
});

test.each([
  [20, 90],
  [80, 120],
  [120, 60],
])('the strongest directions of a [%i, %i] matrix', (rows, columns) => {
  const spread = random(rows, columns, 1);
  // A few strong directions over noise, as gradients have.
  const strong = multiply(random(rows, 4, 2), random(4, columns, 3));
  const m = { ...spread, data: spread.data.map((x, i) => 0.01 * x + strong.data[i]) };
  let s = 5;
  const draw = () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
  const found = topDirections(m, 4, draw);
  const exact = svd(m, 4);
  for (let k = 0; k < 4; k++) expect(found.values[k] / exact.values[k]).toBeCloseTo(1, 8);
  for (const side of ['left', 'right'] as const) {
    const own = gram(found[side]);
    expect(Math.max(...own.data.map((x, i) => Math.abs(x - identity(4).data[i])))).toBeLessThan(1e-9);
    const cosines = multiply(found[side], transpose(exact[side]));
    for (let k = 0; k < 4; k++) expect(Math.abs(cosines.data[5 * k])).toBeCloseTo(1, 6);
  }
});
