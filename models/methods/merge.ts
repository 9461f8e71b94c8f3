import type { Settings } from '../describe.ts';
import {
  type Attachment,
  type Base,
  type LowRankUpdate,
  type Method,
  MethodError,
  type Tensors,
} from './method.ts';

/**
 * The weights that an adapter changes as they become when it is folded in, by parameter path. Throws `MethodError`,
 * with the reason, for a method that cannot be folded into weights.
 */
export async function mergedWeights(
  method: Method,
  attachment: Attachment,
  settings: Settings,
  tensors: Tensors,
  base: Base,
): Promise<Map<string, Float32Array>> {
  if (method.merge) return method.merge(attachment, settings, tensors, base);
  if (!method.toLowRank)
    throw new MethodError(
      method.unmergeable ?? `${method.card.title} changes no weight, so there is nothing to merge.`,
    );
  const merged = new Map<string, Float32Array>();
  for (const update of method.toLowRank(attachment, settings, tensors)) {
    const path = `${update.path}.weight`;
    merged.set(path, addProduct(merged.get(path) ?? (await base.weight(path)), update));
  }
  return merged;
}

/** w + scale · b a, both factors seen as matrices. */
export function addProduct(w: Float32Array, { a, b, scale }: Omit<LowRankUpdate, 'path'>): Float32Array {
  const rank = a.shape[0];
  const width = a.data.length / rank;
  const rows = b.data.length / rank;
  const sum = new Float64Array(width);
  const merged = w.slice();
  for (let row = 0; row < rows; row++) {
    sum.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = b.data[row * rank + r] * scale;
      for (let i = 0; i < width; i++) sum[i] += factor * a.data[r * width + i];
    }
    for (let i = 0; i < width; i++) merged[row * width + i] += sum[i];
  }
  return merged;
}
