import type { DType } from './dtypes.ts';

/** For floating types: words an element has, the word with its exponent, and the exponent's bits, all set where it is not finite. */
const exponents: Partial<Record<DType, { words: 1 | 2; of: 16 | 32; mask: number }>> = {
  F16: { words: 1, of: 16, mask: 0x7c00 },
  BF16: { words: 1, of: 16, mask: 0x7f80 },
  F32: { words: 1, of: 32, mask: 0x7f800000 },
  F64: { words: 2, of: 32, mask: 0x7ff00000 },
};

/** The first element that is NaN or infinite; undefined where all are finite, or the type has no such values. */
export function firstNotFinite(dtype: DType, bytes: Uint8Array): number | undefined {
  const kind = exponents[dtype];
  if (!kind) return undefined;
  const { words, of, mask } = kind;
  const width = of / 8;
  const aligned = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  const length = Math.floor(bytes.length / width);
  const values =
    of === 16
      ? new Uint16Array(aligned.buffer, aligned.byteOffset, length)
      : new Int32Array(aligned.buffer, aligned.byteOffset, length);
  // Little-endian: the exponent is in an element's last word.
  for (let i = words - 1; i < length; i += words)
    if ((values[i] & mask) === mask) return Math.floor(i / words);
  return undefined;
}
