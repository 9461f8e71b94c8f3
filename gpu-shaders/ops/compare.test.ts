import { describe, expect, test } from 'vitest';
import { compile } from '../compile/build.ts';
import { constant, parameter } from '../graph/leaves.ts';
import { State } from '../state.ts';
import { checkOp } from '../testing/checkOp.ts';
import { testGpu } from '../testing/dawn.ts';
import { asU32, evaluate } from '../testing/evaluate.ts';
import { cast, clamp, equal, greater, lessEqual, maximum, minimum, where } from './compare.ts';
import { add, mul, stopGradient } from './elementwise.ts';

const pairs = (x: Float64Array, y: Float64Array, f: (a: number, b: number) => number) =>
  Float64Array.from(x, (v, i) => f(v, y[i % y.length]));

describe('comparisons', () => {
  test('maximum and minimum, broadcast', () =>
    checkOp({
      shapes: [[3, 5], [5]],
      build: (a, b) => add(maximum(a, b), mul(minimum(a, b), 3)),
      reference: (a, b) => pairs(a, b, (x, y) => Math.max(x, y) + 3 * Math.min(x, y)),
    }));
  test('where', () =>
    checkOp({
      shapes: [[2, 7], [7]],
      build: (a, b) => where(greater(a, 0.2), mul(a, b), b),
      reference: (a, b) => pairs(a, b, (x, y) => (x > 0.2 ? x * y : y)),
    }));
  test('clamp', () =>
    checkOp({
      shapes: [[11]],
      build: (a) => clamp(a, -0.5, 0.75),
      reference: (a) => a.map((x) => Math.min(Math.max(x, -0.5), 0.75)),
    }));
  test('of integers, and casts', async () => {
    const ids = constant(Int32Array.of(-1, 0, 5), [3]);
    const { same, low, words } = await evaluate({
      same: equal(ids, constant(Uint32Array.of(1, 0, 5), [3])),
      low: lessEqual(ids, 0),
      words: cast(constant(Float32Array.of(2.9, 0, 7), [3]), 'u32'),
    });
    expect([...same]).toEqual([0, 1, 1]);
    expect([...low]).toEqual([1, 1, 0]);
    expect(asU32(words)).toEqual([2, 0, 7]);
  });
  test('f16 storage is read as f32', async () => {
    const state = new State(await testGpu(), []);
    // 1, -2, 0.5 as halves.
    state.setFrozen('h', Uint16Array.of(0x3c00, 0xc000, 0x3800));
    const h = parameter('h', [3], { dtype: 'f16' });
    const program = await compile(state, { label: 'f16', outputs: { y: cast(h, 'f32') } });
    program.run();
    expect([...(await program.collect(['y'])).y]).toEqual([1, -2, 0.5]);
  });
});

test('nothing is learnt through stopGradient, comparisons behind it included', () =>
  checkOp({
    shapes: [[7]],
    build: (x) => add(x, stopGradient(greater(x, 0.2))),
    reference: (x) => x.map((v) => v + (v > 0.2 ? 1 : 0)),
  }));
