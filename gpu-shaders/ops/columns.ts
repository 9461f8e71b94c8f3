import type { Op } from '../graph/op.ts';
import { ShapeError, type Tensor, trace } from '../graph/tensor.ts';

interface TakeAttrs {
  /** Columns of the result. */
  width: number;
  /** Where the numbers of its columns begin in the choice, and where the way back begins. */
  there: number;
  back: number;
}

const takeOp: Op<TakeAttrs> = {
  name: 'takeColumns',
  infer: ([x], { width }) => [{ shape: [...x.shape.slice(0, -1), width], dtype: 'f32' }],
  // What went to a column of the result goes back to the one that it came from: the same op, the other way.
  gradient: ({ inputs: [x, choice], dys, attrs: { there, back } }) => [
    trace(takeOp, [dys[0]!, choice], { width: x.shape.at(-1)!, there: back, back: there })[0],
    null,
  ],
  // Rows stand alone.
  narrow: ({ inputs: [x], attrs }, { begin, shape }) =>
    shape.at(-1) === attrs.width
      ? { inputs: [{ begin, shape: [...shape.slice(0, -1), x.shape.at(-1)!] }, null], attrs }
      : null,
  lower: {
    kind: 'point',
    body: (w, { width, there }) => {
      const before = w.inputs[0].shape.at(-1)!;
      return `  let c = ${w.read(1, `${there}u + i % ${width}u`)};
  var value = 0.0;
  if (c < ${before}u) { value = ${w.read(0, `(i / ${width}u) * ${before}u + c`)}; }`;
    },
  },
};

/** Words that say which columns of n are taken, as `takeColumns` reads them: their numbers, then the place of each of n. */
export function columnChoice(columns: Uint32Array, n: number): Uint32Array {
  const choice = new Uint32Array(columns.length + n).fill(columns.length);
  choice.set(columns);
  columns.forEach((column, place) => {
    choice[columns.length + column] = place;
  });
  return choice;
}

/**
 * `width` columns of x [..., n] by their numbers, made by `columnChoice`, u32 [width + n]: y[..., j] = x[..., choice_j].
 * Only what was taken is kept for the backward pass of what reads it. Throws `ShapeError`.
 */
export function takeColumns(x: Tensor, choice: Tensor, width: number): Tensor {
  const n = x.shape.at(-1) ?? 1;
  if (choice.dtype !== 'u32' || choice.shape.length !== 1 || choice.shape[0] !== width + n)
    throw new ShapeError(
      `takeColumns: a choice of ${width} of ${n} columns is u32 [${width + n}], not ${choice.dtype} [${choice.shape}].`,
    );
  return trace(takeOp, [x, choice], { width, there: 0, back: width })[0];
}
