import { describe, expect, it } from 'vitest';
import { bytesSource } from './bytes.ts';
import { readSafetensors } from './checkpoint.ts';
import { firstNotFinite } from './finite.ts';
import { floatPieces, readFloats, readRaw } from './weights.ts';
import { writeSafetensors } from './write.ts';

const open = (data: Float32Array, dtype: 'F32' | 'F16' = 'F32') =>
  readSafetensors(bytesSource(writeSafetensors([{ name: 'a.weight', shape: [data.length], dtype, data }])));

describe('weights', () => {
  it('larger than a piece come in pieces, whole or by a band of them', async () => {
    const data = Float32Array.from({ length: 5_000_000 }, (_, i) => i % 1000);
    const checkpoint = await open(data);
    const pieces: number[][] = [];
    for await (const { at, data: piece } of floatPieces(checkpoint, 'a.weight'))
      pieces.push([at, piece.length]);
    expect(pieces).toEqual([
      [0, 4_194_304],
      [4_194_304, 805_696],
    ]);
    const band = await readFloats(checkpoint, 'a.weight', { from: 4_000_001, to: 4_500_000 });
    expect([band.length, band[0], band[299_999], band.at(-1)]).toEqual([499_999, 1, 0, 999]);
    const raw = await readRaw(checkpoint, 'a.weight', { from: 7, to: 9 });
    expect([...new Float32Array(raw.buffer)]).toEqual([7, 8]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'that hold %s are refused by name',
    async (bad) => {
      for (const dtype of ['F32', 'F16'] as const) {
        const checkpoint = await open(Float32Array.of(0, -1, 65504, bad, 2), dtype);
        const message = /model.safetensors: tensor "a.weight" holds NaN or infinity at element 3/;
        await expect(readFloats(checkpoint, 'a.weight')).rejects.toThrow(message);
        await expect(readRaw(checkpoint, 'a.weight')).rejects.toThrow(message);
        expect([...(await readFloats(checkpoint, 'a.weight', { from: 1, to: 3 }))]).toEqual([-1, 65504]);
      }
    },
  );

  it('are looked at in every floating type, at any offset', () => {
    const wide = new Uint8Array(Float64Array.of(1e308, -5, Number.NaN).buffer);
    expect(firstNotFinite('F64', wide)).toBe(2);
    expect(firstNotFinite('F64', wide.subarray(0, 16))).toBeUndefined();
    expect(firstNotFinite('BF16', Uint8Array.of(0x80, 0x3f, 0x80, 0xff))).toBe(1);
    expect(firstNotFinite('F16', Uint8Array.of(9, 0xff, 0x7b, 0x00, 0x7c).subarray(1))).toBe(1);
    expect(firstNotFinite('I32', Uint8Array.of(0, 0, 0x80, 0x7f))).toBeUndefined();
  });
});
