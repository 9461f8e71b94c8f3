import { expect, test } from 'vitest';
import { constant } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { evaluate } from '../testing/evaluate.ts';
import { sinusoid } from './sinusoid.ts';

const reference = (t: number, width: number, shift: number) =>
  Array.from({ length: width / 2 }, (_, i) => t * 10000 ** (-i / (width / 2 - shift)));

test('sinusoid of small times, with its gradient', () =>
  checkOp({
    shapes: [[3]],
    build: (t) => sinusoid(t, 8, { cosinesFirst: true, shift: 1 }),
    reference: (t) =>
      [...t].flatMap((x) => {
        const angles = reference(x, 8, 1);
        return [...angles.map(Math.cos), ...angles.map(Math.sin)];
      }),
  }));

test('sinusoid of the largest times', async () => {
  const t = [0, 17, 500, 999];
  const { y } = await evaluate({ y: sinusoid(constant(Float32Array.from(t), [4]), 32) });
  const expected = t.flatMap((x) => {
    const angles = reference(x, 32, 0);
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  });
  // The angle itself is an f32: near 1000 its last bit is 6e-5.
  y.forEach((v, i) => {
    expect(Math.abs(v - expected[i])).toBeLessThan(1e-4);
  });
});
