import type { Op } from '../graph/op.ts';
import { type Shape, ShapeError, sameShape, sizeOf, type Tensor, trace } from '../graph/tensor.ts';

const reshapeOp: Op<{ shape: Shape }> = {
  name: 'reshape',
  infer: ([x], a) => [{ shape: a.shape, dtype: x.dtype }],
  gradient: ({ inputs, dys }) => [reshape(dys[0]!, inputs[0].shape)],
  lower: { kind: 'view' },
};

/** The same elements under another shape; one axis may be -1. Costs nothing. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = shape.reduce((n, d) => (d < 0 ? n : n * d), 1);
  const full = shape.map((d) => (d < 0 ? sizeOf(x.shape) / known : d));
  if (sizeOf(full) !== sizeOf(x.shape))
    throw new ShapeError(`[${x.shape}] cannot be reshaped to [${shape}].`);
  return sameShape(full, x.shape) ? x : trace(reshapeOp, [x], { shape: full })[0];
}
