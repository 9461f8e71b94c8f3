import type { Op } from '../graph/op.ts';
import { ShapeError, type Tensor, trace } from '../graph/tensor.ts';

const nearestOp: Op<{ count: number }> = {
  name: 'nearestCode',
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  lower: {
    kind: 'point',
    body: (w, { count }) => `  let x = ${w.read(0, 'i')};
  var low = 0u;
  var high = ${count - 1}u;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (x > 0.5 * (${w.read(1, 'middle')} + ${w.read(1, 'middle + 1u')})) { low = middle + 1u; } else { high = middle; }
  }
  let value = ${w.read(1, 'low')};`,
  },
};

/**
 * The nearest of `codes` [n], ascending, to each element of x; the lower one half-way between two. It has no gradient:
 * stop it, or let it pass straight through.
 */
export function nearestCode(x: Tensor, codes: Tensor): Tensor {
  if (codes.shape.length !== 1 || codes.shape[0] < 1)
    throw new ShapeError(`nearestCode: codes are a list, not [${codes.shape}].`);
  return trace(nearestOp, [x, codes], { count: codes.shape[0] })[0];
}
