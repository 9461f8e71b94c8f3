import type { LowRankUpdate, Tensors } from '../methods/method.ts';

/** What an adapter file holds, in this project's terms: low-rank updates, and modules saved whole (the head). */
export interface AdapterContent {
  /** W' = W + scale · B A for each module; A [r, in, ...kernel], B [out, r, ...1], as PyTorch lays them out. */
  readonly updates: readonly LowRankUpdate[];
  /** Parameters of modules that were trained whole, by their path: `classifier.weight`, `classifier.bias`. */
  readonly saved: Tensors;
}

/** An adapter that cannot be written or read; the message says what was found and what to do. */
export class AdapterError extends Error {
  override name = 'AdapterError';
}

/** The same update with its scale multiplied into B. */
export function folded({ path, a, b, scale }: LowRankUpdate): LowRankUpdate {
  if (scale === 1) return { path, a, b, scale };
  return { path, a, b: { shape: b.shape, data: b.data.map((value) => value * scale) }, scale: 1 };
}

/** Rank of an update. */
export function rankOf(update: LowRankUpdate): number {
  return update.a.shape[0];
}
