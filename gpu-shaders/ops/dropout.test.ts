import { describe, expect, test } from 'vitest';
import { compile } from '../compile/build.ts';
import { gradients } from '../graph/gradient.ts';
import { constant, input, parameter } from '../graph/leaves.ts';
import { State } from '../state.ts';
import { testGpu } from '../testing/dawn.ts';
import { dropout, dropPath, uniform } from './dropout.ts';
import { copy, mul } from './elementwise.ts';
import { reduceSum } from './reduce.ts';

const seed = () => input('seed', [2], { dtype: 'u32' });

/** Draws again and again from one compiled step. */
async function drawing(
  build: (
    seed: ReturnType<typeof input>,
    p: ReturnType<typeof input>,
  ) => Record<string, ReturnType<typeof input>>,
) {
  const state = new State(await testGpu(), []);
  const outputs = build(seed(), input('p', []));
  const program = await compile(state, { label: 'draw', outputs });
  return async (s: number, step: number, p = 0.5) => {
    program.write('seed', Uint32Array.of(s, step));
    program.write('p', Float32Array.of(p));
    program.run();
    return program.collect(Object.keys(outputs));
  };
}

describe('random numbers', () => {
  test('are uniform, and differ by step, seed and site but not by run', async () => {
    const n = 20000;
    const draw = await drawing((s) => ({ a: uniform([n], s, 0), b: uniform([n], s, 1) }));
    const first = await draw(7, 1);
    expect((await draw(7, 1)).a).toEqual(first.a);
    for (const other of [first.b, (await draw(7, 2)).a, (await draw(8, 1)).a]) {
      const same = other.filter((v, i) => v === first.a[i]).length;
      expect(same).toBeLessThan(5);
      // Independent uniforms: correlation within four standard errors of 0.
      const dot = other.reduce((s, v, i) => s + (v - 0.5) * (first.a[i] - 0.5), 0);
      expect(Math.abs(12 * dot) / Math.sqrt(n)).toBeLessThan(4);
    }
    const bins = new Array(20).fill(0);
    for (const v of first.a) bins[Math.floor(v * 20)]++;
    // Chi-square with 19 degrees of freedom: 43.8 is its 99.9 % quantile.
    const chi = bins.reduce((s, b) => s + (b - n / 20) ** 2 / (n / 20), 0);
    expect(chi).toBeLessThan(43.8);
    expect(Math.max(...first.a)).toBeLessThan(1);
  });
});

describe('dropout', () => {
  test('keeps 1 - p of the elements and their mean; p is a knob', async () => {
    const x = constant(new Float32Array(9001).fill(1), [9001]);
    const draw = await drawing((s, p) => ({ y: dropout(x, p, s, 3) }));
    for (const p of [0.1, 0.5, 0.9]) {
      const { y } = await draw(1, 2, p);
      const kept = y.filter((v) => v !== 0);
      expect(Math.abs(kept.length / 9001 - (1 - p))).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / 9001));
      expect(Math.abs(kept[0] - 1 / (1 - p))).toBeLessThan(1e-5);
    }
    expect((await draw(1, 2, 0)).y.every((v) => v === 1)).toBe(true);
  });

  test('the gradient passes through the same mask', async () => {
    const state = new State(await testGpu(), [{ name: 'x', type: { shape: [7, 5], dtype: 'f32' } }]);
    const x = parameter('x', [7, 5], { trainable: true });
    const data = Float32Array.from({ length: 35 }, (_, i) => i + 1);
    state.setTrainable('x', data);
    const y = mul(dropout(x, 0.4, seed(), 0), 2);
    const [dx] = gradients(reduceSum(y), [x]);
    const program = await compile(state, {
      label: 'both',
      outputs: { y },
      gradients: new Map([['x', copy(dx)]]),
    });
    program.write('seed', Uint32Array.of(3, 4));
    program.run();
    const { y: out } = await program.collect(['y']);
    const grad = (await state.readTrainables('gradients')).get('x')!;
    out.forEach((v, i) => {
      expect(Math.abs(v - grad[i] * data[i])).toBeLessThan(1e-3);
    });
    expect(out.some((v) => v === 0) && out.some((v) => v !== 0)).toBe(true);
  });

  test('dropPath drops whole samples', async () => {
    const x = constant(new Float32Array(60).fill(1), [20, 3]);
    const draw = await drawing((s) => ({ y: dropPath(x, 0.5, s, 0) }));
    const { y } = await draw(5, 1);
    for (let r = 0; r < 20; r++) expect(new Set(y.subarray(3 * r, 3 * r + 3)).size).toBe(1);
    expect(new Set(y)).toEqual(new Set([0, 2]));
  });
});
