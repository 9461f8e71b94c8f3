import type { Op } from '../graph/op.ts';
import {
  type DType,
  isQuantised,
  type Node,
  type Shape,
  ShapeError,
  sameShape,
  sizeOf,
  stridesOf,
  type Tensor,
  trace,
} from '../graph/tensor.ts';
import { literal } from './map.ts';
import { reshape } from './reshape.ts';

/** What comes out of a kernel that moves elements: storage types are unpacked. */
const moved = (dtype: DType): DType => (dtype === 'f16' || isQuantised(dtype) ? 'f32' : dtype);

const zeroOf = (dtype: DType, value = 0) => (moved(dtype) === 'f32' ? literal(value) : `${dtype}(${value})`);

/** WGSL for coordinate `axis` of flat index `i` in `shape`. */
function coordinate(shape: Shape, axis: number, i = 'i'): string {
  const stride = sizeOf(shape.slice(axis + 1));
  const quotient = stride === 1 ? i : `(${i} / ${stride}u)`;
  return axis === 0 ? quotient : `(${quotient} % ${shape[axis]}u)`;
}

const transposeOp: Op<{ perm: readonly number[] }> = {
  name: 'transpose',
  infer: ([x], { perm }) => [{ shape: perm.map((p) => x.shape[p]), dtype: moved(x.dtype) }],
  gradient: ({ dys, attrs: { perm } }) => [
    transpose(
      dys[0]!,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
  lower: {
    kind: 'point',
    body: (w, { perm }) => {
      const strides = stridesOf(w.inputs[0].shape);
      const terms = perm.map((p, axis) => `${coordinate(w.output.shape, axis)} * ${strides[p]}u`);
      return `  let value = ${w.read(0, terms.join(' + '))};`;
    },
  },
};

/** Axes in the order `perm`: result axis i is axis perm[i] of x. Free where only axes of length 1 move. */
export function transpose(x: Tensor, perm: readonly number[]): Tensor {
  if (perm.length !== x.shape.length || [...perm].sort((a, b) => a - b).some((p, i) => p !== i))
    throw new ShapeError(`transpose: [${perm}] does not order the axes of [${x.shape}].`);
  const long = perm.filter((p) => x.shape[p] !== 1);
  if (long.every((p, i) => i === 0 || long[i - 1] < p))
    return reshape(
      x,
      perm.map((p) => x.shape[p]),
    );
  return trace(transposeOp, [x], { perm })[0];
}

/** NCHW to the NHWC that all image operations work in. */
export const nchwToNhwc = (x: Tensor): Tensor => transpose(x, [0, 2, 3, 1]);

interface WindowAttrs {
  begin: readonly number[];
  shape: Shape;
}

const sliceOp: Op<WindowAttrs> = {
  name: 'slice',
  infer: ([x], { shape }) => [{ shape, dtype: moved(x.dtype) }],
  narrow: ({ attrs: { begin } }, box) => {
    const part = { begin: begin.map((b, i) => b + box.begin[i]), shape: box.shape };
    return { inputs: [part], attrs: part };
  },
  gradient: ({ inputs: [x], dys, attrs: { begin, shape } }) => [
    pad(
      dys[0]!,
      begin,
      x.shape.map((n, i) => n - begin[i] - shape[i]),
    ),
  ],
  lower: {
    kind: 'point',
    body: (w, { begin, shape }) => {
      const strides = stridesOf(w.inputs[0].shape);
      const terms = shape.map(
        (_, axis) => `(${coordinate(shape, axis)} + ${begin[axis]}u) * ${strides[axis]}u`,
      );
      return `  let value = ${w.read(0, terms.join(' + ') || '0u')};`;
    },
  },
};

export const isSlice = (node: Node): boolean => node.op === sliceOp;

/** The box of `size` from `begin` on; a size of -1 reaches to the axis's end. */
export function slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor {
  const shape = size.map((n, i) => (n < 0 ? x.shape[i] - begin[i] : n));
  if (
    shape.length !== x.shape.length ||
    shape.some((n, i) => n < 0 || begin[i] < 0 || begin[i] + n > x.shape[i])
  )
    throw new ShapeError(`slice: [${shape}] from [${begin}] on lies outside [${x.shape}].`);
  if (sameShape(shape, x.shape)) return x;
  return trace(sliceOp, [x], { begin, shape })[0];
}

interface PadAttrs extends WindowAttrs {
  value: number;
}

const padOp: Op<PadAttrs> = {
  name: 'pad',
  infer: ([x], { shape }) => [{ shape, dtype: moved(x.dtype) }],
  gradient: ({ inputs: [x], dys, attrs: { begin } }) => [slice(dys[0]!, begin, x.shape)],
  lower: {
    kind: 'point',
    body: (w, { begin, shape, value }) => {
      const [x] = w.inputs;
      const strides = stridesOf(x.shape);
      const axes = shape.map((_, axis) => axis).filter((axis) => shape[axis] !== x.shape[axis]);
      // Below `begin` the difference wraps to a large u32, so one comparison checks both ends.
      const lines = shape.map((_, axis) => `  let c${axis} = ${coordinate(shape, axis)} - ${begin[axis]}u;`);
      const inside = axes.map((axis) => `c${axis} < ${x.shape[axis]}u`).join(' && ');
      const index = shape.map((_, axis) => `c${axis} * ${strides[axis]}u`).join(' + ');
      return `${lines.join('\n')}
  var value = ${zeroOf(x.dtype, value)};
  if (${inside}) { value = ${w.read(0, index)}; }`;
    },
  },
};

/** x with `before[i]` and `after[i]` elements of `value` around it along axis i. */
export function pad(x: Tensor, before: readonly number[], after: readonly number[], value = 0): Tensor {
  const rank = x.shape.length;
  if (before.length !== rank || after.length !== rank || [...before, ...after].some((n) => n < 0))
    throw new ShapeError(`pad: [${before}] and [${after}] do not fit [${x.shape}].`);
  const shape = x.shape.map((n, i) => n + before[i] + after[i]);
  if (sameShape(shape, x.shape)) return x;
  return trace(padOp, [x], { begin: before, shape, value })[0];
}

const concatOp: Op<{ axis: number }> = {
  name: 'concat',
  infer: (xs, { axis }) => {
    const [first] = xs;
    for (const x of xs)
      if (
        x.shape.length !== first.shape.length ||
        moved(x.dtype) !== moved(first.dtype) ||
        x.shape.some((n, i) => i !== axis && n !== first.shape[i])
      )
        throw new ShapeError(
          `concat: ${xs.map((t) => `${t.dtype} [${t.shape}]`).join(', ')} differ off axis ${axis}.`,
        );
    const total = xs.reduce((n, x) => n + x.shape[axis], 0);
    return [{ shape: first.shape.map((n, i) => (i === axis ? total : n)), dtype: moved(first.dtype) }];
  },
  gradient: ({ inputs, dys, attrs: { axis }, wants }) => {
    let at = 0;
    return inputs.map((x, i) => {
      const begin = x.shape.map((_, d) => (d === axis ? at : 0));
      at += x.shape[axis];
      return wants[i] ? slice(dys[0]!, begin, x.shape) : null;
    });
  },
  lower: {
    kind: 'point',
    body: (w, { axis }) => {
      const inner = sizeOf(w.output.shape.slice(axis + 1));
      let from = 0;
      const parts = w.inputs.map((x, i) => {
        const n = x.shape[axis];
        const offset = from;
        from += n;
        const read = w.read(i, `(outer * ${n}u + along - ${offset}u) * ${inner}u + inside`);
        return `if (along < ${from}u) { value = ${read}; }`;
      });
      return `  let inside = i % ${inner}u;
  let along = i / ${inner}u % ${from}u;
  let outer = i / ${inner * from}u;
  var value = ${zeroOf(w.output.dtype)};
  ${parts.join(' else ')}`;
    },
  },
};

/** Parts that one kernel can bind beside its output and what is fused behind it. */
const MAX_PARTS = 5;

/** The tensors one after the other along `axis`. */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  const at = axis < 0 ? axis + xs[0].shape.length : axis;
  const parts = xs.filter((x) => x.shape[at] > 0);
  if (parts.length <= 1) return parts[0] ?? xs[0];
  if (parts.length <= MAX_PARTS) return trace(concatOp, parts, { axis: at })[0];
  const groups: Tensor[] = [];
  for (let i = 0; i < parts.length; i += MAX_PARTS) groups.push(concat(parts.slice(i, i + MAX_PARTS), at));
  return concat(groups, at);
}

/** x with an axis of length 1 put before `axis`. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = axis < 0 ? axis + x.shape.length + 1 : axis;
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** x without its axis `axis`, which must have length 1. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (x.shape[at] !== 1) throw new ShapeError(`squeeze: axis ${axis} of [${x.shape}] is not 1.`);
  return reshape(
    x,
    x.shape.filter((_, i) => i !== at),
  );
}

/** Tensors of one shape side by side along a new axis. */
export const stack = (xs: readonly Tensor[], axis = 0): Tensor =>
  concat(
    xs.map((x) => unsqueeze(x, axis)),
    axis < 0 ? axis + xs[0].shape.length + 1 : axis,
  );
