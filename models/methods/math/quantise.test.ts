import { describe, expect, test } from 'vitest';
import { close, noise } from '../../../gpu-shaders/testing/checkOp.ts';
import { BITS, codesOf, dequantise, pack, packedBytes, quantise, unpack } from './quantise.ts';

test('codes are those of the released code', () => {
  close(codesOf(1), [-0.6745, 0.6745], 1e-4);
  close(codesOf(2), [-1.2657, -0.3778, 0.3778, 1.2657], 1e-4);
  expect([codesOf(4).length, codesOf(8).length]).toEqual([16, 256]);
  for (const bits of BITS) expect([...codesOf(bits)]).toEqual([...codesOf(bits)].sort((a, b) => a - b));
});

describe.each(BITS)('%i bits', (bits) => {
  const w = noise(101, 3).map((x) => 0.02 * x + 0.1);

  test('what is packed comes back as training had it', () => {
    const bytes = pack(w, bits);
    expect(bytes.length).toBe(Math.ceil((101 * bits) / 8) + 8);
    expect(bytes.length).toBe(packedBytes(101, bits));
    close(unpack(bytes, 101, bits), dequantise(quantise(w, bits), bits), 1e-6);
    expect(() => unpack(bytes, 200, bits)).toThrow(/take/);
  });

  test('more bits err less', () => {
    const error = (b: typeof bits) => {
      const back = dequantise(quantise(w, b), b);
      return w.reduce((n, x, i) => n + Math.abs(x - back[i]), 0);
    };
    if (bits < 8) expect(error((2 * bits) as typeof bits)).toBeLessThan(error(bits));
  });
});
