import { describe, expect, test } from 'vitest';
import { input } from '../graph/leaves.ts';
import { checkOp } from '../testing/checkOp.ts';
import { add } from './elementwise.ts';
import { rotary } from './rotary.ts';

/** Each head's pairs as complex numbers, turned by their token's angles. */
function turned(x: Float64Array, table: Float64Array, [b, t, w]: number[], head: number, batched: boolean) {
  const y = new Float64Array(x.length);
  const half = head / 2;
  for (let token = 0; token < b * t; token++)
    for (let at = 0; at < w; at += head)
      for (let j = 0; j < half; j++) {
        const angle = (batched ? token : token % t) * head + j;
        const [cos, sin] = [table[angle], table[angle + half]];
        const first = token * w + at + j;
        y[first] = x[first] * cos - x[first + half] * sin;
        y[first + half] = x[first + half] * cos + x[first] * sin;
      }
  return y;
}

describe('rotary', () => {
  test.each([
    ['one token of one pair', [1, 1, 2], 2, false],
    ['three heads of six, five tokens', [2, 5, 18], 6, false],
    ['angles of each sample', [3, 4, 8], 4, true],
  ] as const)('%s', (_, shape, head, batched) => {
    const angles = batched ? [shape[0], shape[1], head] : [shape[1], head];
    return checkOp({
      shapes: [[...shape], angles],
      frozen: [1],
      build: (x, table) => add(rotary(x, table, head), 0.25),
      reference: (x, table) => turned(x, table, [...shape], head, batched).map((v) => v + 0.25),
    });
  });

  test('odd heads and angles of other tokens are refused', () => {
    const x = input('x', [1, 3, 12]);
    expect(() => rotary(x, input('t', [3, 3]), 3)).toThrow(/do not fit/);
    expect(() => rotary(x, input('t', [4, 4]), 4)).toThrow(/do not fit/);
  });
});
