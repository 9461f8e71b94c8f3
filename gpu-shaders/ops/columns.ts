import type { Op } from '../graph/op.ts';
import { ShapeError, type Tensor, trace } from '../graph/tensor.ts';

const takeOp: Op<{ width: number }> = {
  name: 'takeColumns',
  infer: ([x], { width }) => [{ shape: [...x.shape.slice(0, -1), width], dtype: 'f32' }],
  // What went to column j of the result goes back to the column that it came from: the same op, the other way.
  gradient: ({ inputs: [x, from, to], dys }) => [
    trace(takeOp, [dys[0]!, to, from], { width: x.shape.at(-1)! })[0],
    null,
    null,
  ],
  lower: {
    kind: 'point',
    body: (w, { width }) => {
      const before = w.inputs[0].shape.at(-1)!;
      return `  let c = ${w.read(1, `i % ${width}u`)};
  var value = 0.0;
  if (c < ${before}u) { value = ${w.read(0, `(i / ${width}u) * ${before}u + c`)}; }`;
    },
  },
};

/**
 * Columns of x [..., n] by their numbers: y[..., j] = x[..., from_j], zero where from_j is n or more. `from` u32 [r]
 * without repetition; `to` u32 [n] is its inverse, with r or more for a column that is not taken. Only what was taken
 * is kept for the backward pass of what reads it. Throws `ShapeError`.
 */
export function takeColumns(x: Tensor, from: Tensor, to: Tensor): Tensor {
  const n = x.shape.at(-1) ?? 1;
  if (from.dtype !== 'u32' || to.dtype !== 'u32' || from.shape.length !== 1 || to.shape[0] !== n)
    throw new ShapeError(
      `takeColumns: columns come as u32 [r] and their inverse as u32 [${n}], not ${from.dtype} [${from.shape}] and ${to.dtype} [${to.shape}].`,
    );
  return trace(takeOp, [x, from, to], { width: from.shape[0] })[0];
}
