import type { Emitter, Row } from '../emitter.ts';
import { elementType } from '../messages.ts';

/** Elements [from, to) of a list. */
const part = (e: Emitter, list: string, from: number, to: number) =>
  e.node('Slice', [list, e.ints([from]), e.ints([to]), e.ints([0])]);

const takeColumns: Row = (e, { inputs: [x, choice], outputs: [y], attrs: { there, width } }) =>
  e.set(
    y,
    e.node('Gather', [e.value(x), part(e, e.value(choice), there, there + width)], {
      axis: x.shape.length - 1,
    }),
  );

/** How many of the midpoints between codes lie below an element says which code is nearest. */
const nearestCode: Row = (e, { inputs: [x, codes], outputs: [y], attrs: { count } }) => {
  const list = e.value(codes);
  const middles = e.node('Mul', [
    e.node('Add', [part(e, list, 0, count - 1), part(e, list, 1, count)]),
    e.scalar(0.5),
  ]);
  const beside = e.node('Unsqueeze', [e.value(x), e.ints([x.shape.length])]);
  const over = e.node('Cast', [e.node('Greater', [beside, middles])], { to: elementType.i64 });
  const index = e.node('ReduceSum', [over, e.ints([x.shape.length])], { keepdims: 0 });
  e.set(y, e.node('Gather', [list, index], { axis: 0 }));
};

/** The entries are set into a matrix of zeros; one more place takes what stands for no entry. */
const sparseProduct: Row = (
  e,
  { inputs: [x, values, layout], outputs: [y], attrs: { rows, columns, count, turned } },
) => {
  const outside = e.int32(Int32Array.of(rows * columns), [1]);
  const positions = e.node('Min', [part(e, e.value(layout), 2, 2 + count), outside]);
  const zeros = e.node('ConstantOfShape', [e.ints([rows * columns + 1])]);
  const flat = e.node('ScatterElements', [zeros, positions, e.value(values)], { axis: 0 });
  const matrix = e.reshape(part(e, flat, 0, rows * columns), [rows, columns]);
  const factor = turned ? matrix : e.node('Transpose', [matrix], { perm: [1, 0] });
  e.set(y, e.node('MatMul', [e.value(x), factor]));
};

/** Operations on chosen columns, codes and entries. */
export const chosenRows: Readonly<Record<string, Row>> = { takeColumns, nearestCode, sparseProduct };
