import { isFrozen } from '../graph/leaves.ts';
import { rewrite } from '../graph/rewrite.ts';
import type { Tensor } from '../graph/tensor.ts';
import { transpose } from '../ops/layout.ts';
import { isMatmul, matmul } from '../ops/matmul.ts';
import { rootOf } from './fuse.ts';

/** Columns below which a product has too few neighbours for the order of its second factor to matter. */
const NARROW = 32;

/**
 * The same outputs with frozen matrices, stored transposed by checkpoints, turned: neighbouring invocations then read
 * neighbouring elements. Turning them depends on weights alone, so it is done once, when the program is made.
 */
export function packWeights(outputs: readonly Tensor[]): Tensor[] {
  return rewrite(outputs, (node, [a, b]) => {
    if (!isMatmul(node) || !node.attrs.tb || !isFrozen(rootOf(b)) || b.dtype !== 'f32') return null;
    if (b.shape.length !== 2 || b.shape[0] < NARROW) return null;
    return [matmul(a, transpose(b, [1, 0]), { ta: node.attrs.ta })];
  });
}
