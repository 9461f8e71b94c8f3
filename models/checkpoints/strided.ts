import type { ByteSource } from './bytes.ts';

/** A tensor as a view of a storage: element [i, j, …] lies at offset + i·strides[0] + j·strides[1] + … */
export interface View {
  /** Elements before the first. */
  readonly offset: number;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
  /** Of one element. */
  readonly bytes: number;
}

/** The bytes of a view, row-major, as a source: read straight from the storage where they lie in that order. */
export function strided(
  storage: { readonly source: ByteSource; begin(): Promise<number> },
  { offset, shape, strides, bytes }: View,
): ByteSource {
  const count = shape.reduce((product, n) => product * n, 1);
  if (isRowMajor(shape, strides))
    return {
      size: count * bytes,
      async read(begin, end) {
        const from = (await storage.begin()) + offset * bytes;
        return storage.source.read(from + begin, from + end);
      },
    };
  return {
    size: count * bytes,
    async read(begin, end) {
      const span = 1 + shape.reduce((sum, n, i) => sum + (n - 1) * strides[i], 0);
      const from = (await storage.begin()) + offset * bytes;
      const all = await storage.source.read(from, from + span * bytes);
      const out = new Uint8Array(end - begin);
      const first = Math.floor(begin / bytes);
      for (let element = first; element * bytes < end; element++) {
        const at = placeOf(element, shape, strides) * bytes;
        const to = element * bytes - begin;
        // The range may begin or end within an element.
        for (let b = Math.max(0, -to); b < bytes && to + b < out.length; b++) out[to + b] = all[at + b];
      }
      return out;
    },
  };
}

/** Where an element lies, by its number in row-major order. */
function placeOf(element: number, shape: readonly number[], strides: readonly number[]): number {
  let rest = element;
  let at = 0;
  for (let i = shape.length - 1; i >= 0; i--) {
    at += (rest % shape[i]) * strides[i];
    rest = Math.floor(rest / shape[i]);
  }
  return at;
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    // The stride of an axis of one is never used.
    if (shape[i] !== 1 && strides[i] !== expected) return shape.includes(0);
    expected *= shape[i];
  }
  return true;
}
