import { describe, expect, test } from 'vitest';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { orientedComponents } from './corda.ts';
import { gram, type Matrix, matrixOf, multiply, norm, rowsOf, transpose } from './math/matrix.ts';
import { svd } from './math/svd.ts';

const random = (rows: number, columns: number, seed: number) =>
  matrixOf({ shape: [rows, columns], data: noise(rows * columns, seed) });
type Parts = { values: Float64Array; left: Matrix; right: Matrix };

/** Σ of the components [from, to). */
function sumOf({ values, left, right }: Parts, from: number, to: number): Matrix {
  const scaled = rowsOf(left, from, to);
  const data = scaled.data.map((x, i) => x * values[from + Math.floor(i / scaled.columns)]);
  return multiply(transpose({ ...scaled, data }), rowsOf(right, from, to));
}

describe('components oriented by inputs whose strength falls off', () => {
  const n = 48;
  const w = random(n, n, 1);
  const inputs = random(400, n, 2);
  inputs.data.forEach((x, i) => {
    inputs.data[i] = x * 0.85 ** (i % n);
  });
  const parts = orientedComponents(w, gram(transpose(inputs)), 'p');
  const plain = svd(w);
  const outputs = (m: Matrix) => multiply(inputs, transpose(m));
  const error = (m: Matrix) => norm(outputs(m)) / norm(outputs(w));

  test('sum to the weight', () => {
    const whole = sumOf(parts, 0, n);
    expect(norm({ data: whole.data.map((x, i) => x - w.data[i]) }) / norm(w)).toBeLessThan(1e-10);
  });

  test('of which the weakest are missed far less than those of the plain SVD', () => {
    const [oriented, other] = [parts, plain].map((p) => error(sumOf(p, n - 8, n)));
    expect(oriented).toBeLessThan(0.1 * other);
  });

  test('of which the strongest carry far more than those of the plain SVD', () => {
    const [oriented, other] = [parts, plain].map((p) => error(sumOf(p, 8, n)));
    expect(oriented).toBeLessThan(0.5 * other);
  });
});

test('inputs of fewer directions than the layer are damped until they can be inverted', () => {
  const w = random(6, 12, 1);
  const parts = orientedComponents(w, gram(transpose(random(3, 12, 2))), 'p');
  const whole = sumOf(parts, 0, 6);
  expect(norm({ data: whole.data.map((x, i) => x - w.data[i]) }) / norm(w)).toBeLessThan(1e-10);
  expect(() => orientedComponents(w, { rows: 12, columns: 12, data: new Float64Array(144) }, 'p')).toThrow(
    /'p' are all zero/,
  );
});
