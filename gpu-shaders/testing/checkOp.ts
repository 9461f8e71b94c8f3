import { expect } from 'vitest';
import { compile } from '../compile/build.ts';
import { PLAIN, type Target } from '../compile/target.ts';
import { gradients } from '../graph/gradient.ts';
import { constant, parameter } from '../graph/leaves.ts';
import { type Shape, sizeOf, type Tensor } from '../graph/tensor.ts';
import { copy, mul } from '../ops/elementwise.ts';
import { reduceSum } from '../ops/reduce.ts';
import { State } from '../state.ts';
import { testGpu } from './dawn.ts';

/** Deterministic values in about [-1.5, 1.5], none too near zero's kinks. */
export function noise(count: number, seed: number): Float32Array {
  let s = seed * 2654435761 + 12345;
  return Float32Array.from({ length: count }, () => {
    s = (Math.imul(s ^ (s >>> 15), 1 | s) + 0x6d2b79f5) | 0;
    const u = ((s ^ (s >>> 14)) >>> 0) / 2 ** 32;
    return (u - 0.5) * 3 + (u > 0.5 ? 0.01 : -0.01);
  });
}

export interface OpCase {
  /** Shapes of the f32 inputs; all are trainable unless `frozen` names their index. */
  shapes: Shape[];
  build(...xs: Tensor[]): Tensor;
  /** The same in float64, from flat inputs to the flat output. */
  reference(...xs: Float64Array[]): ArrayLike<number>;
  frozen?: number[];
  /** Maps the noise of input i into the operation's domain. */
  domain?: (x: number, input: number) => number;
  /** Relative to the largest magnitude compared; 1e-4 unless the operation has a reason. */
  tolerance?: number;
  /** Kernel forms to check instead of the plain ones. */
  target?: Partial<Target>;
}

/** Value against the float64 reference, gradients against central differences of it. */
export async function checkOp({
  shapes,
  build,
  reference,
  frozen = [],
  domain = (x) => x,
  tolerance = 1e-4,
  target,
}: OpCase): Promise<void> {
  const gpu = await testGpu();
  const data = shapes.map((s, i) => noise(sizeOf(s), i + 1).map((x) => domain(x, i)));
  const live = shapes.map((_, i) => i).filter((i) => !frozen.includes(i));
  const xs = shapes.map((s, i) =>
    frozen.includes(i) ? constant(data[i], s) : parameter(`x${i}`, s, { trainable: true }),
  );
  const y = build(...xs);
  const weight = noise(sizeOf(y.shape), 77);
  const loss = reduceSum(mul(y, constant(weight, y.shape)));
  const leaves = live.map((i) => xs[i]);
  const state = new State(
    gpu,
    live.map((i) => ({ name: `x${i}`, type: xs[i] })),
  );
  for (const i of live) state.setTrainable(`x${i}`, data[i]);
  const grads = gradients(loss, leaves).map(copy);
  const program = await compile(state, {
    label: 'check',
    outputs: { y: copy(y) },
    target: { ...PLAIN, ...target },
    gradients: new Map(live.map((i, at) => [`x${i}`, grads[at]])),
  });
  program.run();
  const { y: value } = await program.collect(['y']);
  const wide = data.map((d) => Float64Array.from(d));
  close(value, reference(...wide), tolerance, 'value');
  const found = await state.readTrainables('gradients');
  for (const i of live)
    close(found.get(`x${i}`)!, differences(reference, wide, i, weight), tolerance, `gradient of input ${i}`);
  program.destroy();
  state.destroy();
}

function differences(
  reference: OpCase['reference'],
  wide: Float64Array[],
  i: number,
  weight: Float32Array,
): Float64Array {
  const h = 1e-5;
  const dot = (y: ArrayLike<number>) => Array.from(y).reduce((n, v, j) => n + v * weight[j], 0);
  return Float64Array.from(wide[i], (x, j) => {
    const at = (value: number) => {
      wide[i][j] = value;
      const y = dot(reference(...wide));
      wide[i][j] = x;
      return y;
    };
    return (at(x + h) - at(x - h)) / (2 * h);
  });
}

/** Largest difference relative to the largest magnitude of `expected`. */
export function close(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = 'values',
): void {
  expect(actual.length, `${what}: length`).toBe(expected.length);
  let scale = 1e-6;
  let worst = 0;
  let at = 0;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i] - expected[i]);
    if (!(d <= worst)) [worst, at] = [d, i];
  }
  expect(
    worst / scale,
    `${what}: element ${at} is ${actual[at]}, expected ${expected[at]}`,
  ).toBeLessThanOrEqual(tolerance);
}
