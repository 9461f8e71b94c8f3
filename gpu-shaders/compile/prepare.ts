import { narrowRows } from '../graph/narrow.ts';
import { shareCommon } from '../graph/share.ts';
import type { Tensor } from '../graph/tensor.ts';
import { withPlainAttention } from '../ops/attentionPlain.ts';
import { everyOptimisation, type Optimisations } from './options.ts';

/** Traced outputs as they are to be differentiated and compiled: what a trace's own optimisations make of them. */
export function prepare(outputs: readonly Tensor[], optimise: Optimisations = everyOptimisation): Tensor[] {
  let now = [...outputs];
  if (optimise.share) now = shareCommon(now);
  if (!optimise.attention) now = withPlainAttention(now);
  if (optimise.narrow) now = narrowRows(now);
  return now;
}
