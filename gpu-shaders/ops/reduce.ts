import type { Op } from '../graph/op.ts';
import { type Shape, sameShape, sizeOf, type Tensor, trace } from '../graph/tensor.ts';
import { flatKernel, rowKernel, rowLoop, rowOnce, rowSum, rowType } from '../kernels/rows.ts';
import { broadcastTo, mul } from './elementwise.ts';
import { reshape } from './reshape.ts';

/** Axes in runs: the input is seen as [outer, reduced, inner]; several runs become several reductions. */
interface SumAttrs {
  outer: number;
  reduced: number;
  inner: number;
  shape: Shape;
}

/** Above this many summands for few results, the sum is split so that more invocations share it. */
const CHUNK = 256;

const sumOp: Op<SumAttrs> = {
  name: 'sum',
  infer: (_, a) => [{ shape: a.shape, dtype: 'f32' }],
  gradient: ({ inputs: [x], dys, attrs: a }) => [
    reshape(broadcastTo(reshape(dys[0]!, [a.outer, 1, a.inner]), [a.outer, a.reduced, a.inner]), x.shape),
  ],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, a) => {
      if (a.inner === 1) {
        rowKernel(w, 'rows', { rows: a.outer, width: a.reduced }, (k) => {
          const sum = rowLoop(k, w, a.reduced, (s) => `    sum += ${s.full(0)};`);
          return `  var sum = ${rowType(a.reduced)}();\n${sum}\n  let value = ${rowSum(k, w, a.reduced, 'sum')};
  ${rowOnce(w, a.reduced, k.finish('row', 'value'))}`;
        });
        return;
      }
      flatKernel(w, 'columns', a.outer * a.inner, (k) => {
        const x = k.tensor(w.inputs[0]);
        return `  let base = i / ${a.inner}u * ${a.reduced * a.inner}u + i % ${a.inner}u;
  var value = 0.0;
  for (var r = 0u; r < ${a.reduced}u; r++) { value += ${x.at(`base + r * ${a.inner}u`)}; }
  ${k.finish('i', 'value')}`;
      });
    },
  },
};

function sumRun(x: Tensor, outer: number, reduced: number, inner: number, shape: Shape): Tensor {
  const chunks = Math.floor(reduced / CHUNK);
  if (chunks > 1 && outer * inner < 16384) {
    // A divisor near the chunk count keeps the parts equal; without one the plain loop is used.
    for (let parts = chunks; parts > 1; parts--) {
      if (reduced % parts) continue;
      const partial = trace(sumOp, [x], {
        outer: outer * parts,
        reduced: reduced / parts,
        inner,
        shape: [outer, parts, inner],
      })[0];
      return trace(sumOp, [partial], { outer, reduced: parts, inner, shape })[0];
    }
  }
  return trace(sumOp, [x], { outer, reduced, inner, shape })[0];
}

/** Sum over `axes` (all by default); reduced axes stay as 1 when `keep`. */
export function reduceSum(
  x: Tensor,
  axes: readonly number[] = x.shape.map((_, i) => i),
  keep = false,
): Tensor {
  const drop = new Set(axes.map((a) => (a < 0 ? a + x.shape.length : a)));
  const shape = keep ? x.shape.map((n, i) => (drop.has(i) ? 1 : n)) : x.shape.filter((_, i) => !drop.has(i));
  let y = x;
  let dims = [...x.shape];
  for (let end = dims.length - 1; end >= 0; end--) {
    if (!drop.has(end)) continue;
    let start = end;
    while (start > 0 && drop.has(start - 1)) start--;
    const [outer, reduced, inner] = [
      dims.slice(0, start),
      dims.slice(start, end + 1),
      dims.slice(end + 1),
    ].map(sizeOf);
    dims = dims.map((n, i) => (i >= start && i <= end ? 1 : n));
    y = sumRun(y, outer, reduced, inner, dims);
    end = start;
  }
  return reshape(y, shape);
}

/** Mean over `axes` (all by default). */
export function mean(x: Tensor, axes?: readonly number[], keep = false): Tensor {
  const sum = reduceSum(x, axes, keep);
  return mul(sum, sizeOf(sum.shape) / sizeOf(x.shape));
}

/** Sums `x` over the axes along which `shape` was broadcast to it: the transpose of broadcasting. */
export function reduceSumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((n, i) => (i < lead || (shape[i - lead] === 1 && n !== 1) ? [i] : []));
  return reshape(reduceSum(x, axes, true), shape);
}
