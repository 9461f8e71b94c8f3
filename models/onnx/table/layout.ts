import type { ConstantAttrs, InputAttrs, Node, ParameterAttrs } from '../../../gpu-shaders/index.ts';
import type { Emitter, Row } from '../emitter.ts';
import { elementType } from '../messages.ts';

/** A list of `n` whole numbers up from zero. */
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

function transpose(e: Emitter, { inputs: [x], outputs: [y], attrs }: Node): void {
  const perm = attrs.perm as number[];
  if (`${perm}` === '0,2,3,1') e.setChannelsFirst(y, e.value(x));
  else if (`${perm}` === '0,3,1,2' && e.isChannelsFirst(x)) e.set(y, e.channelsFirst(x));
  else e.set(y, e.node('Transpose', [e.value(x)], { perm }));
}

/** Axes that are taken whole are left out, the open batch among them. */
function slice(e: Emitter, { inputs: [x], outputs: [y], attrs }: Node): void {
  const begin = attrs.begin as number[];
  const axes = upTo(y.shape.length).filter((i) => y.shape[i] !== x.shape[i]);
  const ends = axes.map((i) => begin[i] + y.shape[i]);
  const bounds = [axes.map((i) => begin[i]), ends, axes].map((list) => e.ints(list));
  e.set(y, e.node('Slice', [e.value(x), ...bounds]));
}

function pad(e: Emitter, { inputs: [x], outputs: [y], attrs }: Node): void {
  const begin = attrs.begin as number[];
  const after = y.shape.map((n, i) => n - begin[i] - x.shape[i]);
  const value = y.dtype === 'f32' ? e.scalar(attrs.value) : e.int32(Int32Array.of(attrs.value as number), []);
  e.set(y, e.node('Pad', [e.value(x), e.ints([...begin, ...after]), value]));
}

/** The input as [outer, reduced, inner], summed over the middle. */
function sum(e: Emitter, { inputs: [x], outputs: [y], attrs }: Node): void {
  const { outer, reduced, inner } = attrs as { outer: number; reduced: number; inner: number };
  const [batch, height, width, channels] = x.shape;
  const pixels = outer === batch && reduced === height * width && inner === channels;
  if (pixels && y.shape.length === 4 && e.isChannelsFirst(x)) {
    e.setChannelsFirst(y, e.node('ReduceSum', [e.channelsFirst(x), e.ints([2, 3])], { keepdims: 1 }));
    return;
  }
  const seen = e.reshape(e.value(x), [outer, reduced, inner]);
  e.set(y, e.reshape(e.node('ReduceSum', [seen, e.ints([1])], { keepdims: 0 }), y.shape));
}

/** A matrix along one axis. */
function resample(e: Emitter, { inputs: [x], outputs: [y], attrs }: Node): void {
  const { axis, matrix, from, to } = attrs as {
    axis: number;
    matrix: Float64Array;
    from: number;
    to: number;
  };
  const size = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);
  const outer = size(x.shape.slice(0, axis));
  const inner = size(x.shape.slice(axis + 1));
  const weights = e.floats(Float32Array.from(matrix), [to, from]);
  const seen = e.reshape(e.value(x), [outer, from, inner]);
  e.set(y, e.reshape(e.node('MatMul', [weights, seen]), y.shape));
}

/** Ids outside the table give zeros. */
function gatherRows(e: Emitter, { inputs: [table, ids], outputs: [y], attrs }: Node): void {
  const first = attrs.first as number;
  const id = first ? e.node('Sub', [e.value(ids), e.int32(Int32Array.of(first), [])]) : e.value(ids);
  const last = e.int32(Int32Array.of((attrs.rows as number) - 1), []);
  const near = e.node('Clip', [id, e.int32(Int32Array.of(0), []), last]);
  const rows = e.node('Gather', [e.value(table), near], { axis: 0 });
  const inside = e.node('Cast', [e.node('Equal', [id, near])], { to: elementType.f32 });
  e.set(y, e.node('Mul', [rows, e.reshape(inside, [...ids.shape, 1])]));
}

function oneHot(e: Emitter, { inputs: [ids], outputs: [y] }: Node): void {
  const classes = y.shape.at(-1)!;
  const all = e.int32(Int32Array.from(upTo(classes)), [classes]);
  const hit = e.node('Equal', [e.reshape(e.value(ids), [...ids.shape, 1]), all]);
  e.set(y, e.node('Cast', [hit], { to: elementType.f32 }));
}

function argmax(e: Emitter, { inputs: [x], outputs: [y] }: Node): void {
  const place = e.node('ArgMax', [e.value(x)], { axis: -1, keepdims: 0 });
  e.set(y, e.node('Cast', [place], { to: elementType.i32 }));
}

/** In inference nothing is dropped: the mask is one. */
const noMask: Row = (e, { outputs: [y] }) => e.set(y, e.scalar(1));

export const layoutRows: Record<string, Row> = {
  parameter: (e, { outputs: [y], attrs }) => e.parameter(y, (attrs as ParameterAttrs).name),
  input: (e, { outputs: [y], attrs }) => e.input(y, (attrs as InputAttrs).name),
  constant: (e, { outputs: [y], attrs }) => e.data(y, (attrs as ConstantAttrs).data),
  fill: (e, { outputs: [y], attrs }) =>
    e.set(y, y.shape.length ? e.expand(e.scalar(attrs.value), y.shape) : e.scalar(attrs.value)),
  broadcast: (e, { inputs: [x], outputs: [y] }) => e.set(y, e.expand(e.value(x), y.shape)),
  reshape: (e, { inputs: [x], outputs: [y] }) => e.set(y, e.reshape(e.value(x), y.shape)),
  concat: (e, { inputs, outputs: [y], attrs }) =>
    e.set(
      y,
      e.node(
        'Concat',
        inputs.map((x) => e.value(x)),
        { axis: attrs.axis },
      ),
    ),
  transpose,
  slice,
  pad,
  sum,
  resample,
  gatherRows,
  oneHot,
  argmax,
  dropoutMask: noMask,
  dropPathMask: noMask,
};
