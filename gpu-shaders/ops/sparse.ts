import type { Op } from '../graph/op.ts';
import { ShapeError, sizeOf, type Tensor, type TensorType, trace } from '../graph/tensor.ts';
import { flatKernel } from '../kernels/rows.ts';

/** The matrix [rows, columns] that `count` values are the entries of. */
interface SparseAttrs {
  rows: number;
  columns: number;
  count: number;
  /** Whether the product is with the matrix's transpose. */
  turned: boolean;
}

/** Rows that one invocation of the value gradient sums over, so that few values still fill a GPU. */
const CHUNK = 128;

/** Places of the parts of a layout: see `sparseLayout`. */
const partsOf = ({ rows, count }: Omit<SparseAttrs, 'turned'>) => ({
  rowStart: count,
  order: count + rows + 1,
  columnStart: 2 * count + rows + 1,
});

/** Words of a layout. */
export const sparseLayoutSize = (rows: number, columns: number, count: number): number =>
  2 * count + rows + columns + 2;

/**
 * Where the values of a sparse matrix [rows, columns] lie, as the kernels read it: their flat positions, ascending; the
 * number of the first value of each row; the values' numbers in the order of their columns; the first of each column
 * there. `positions` are ascending and distinct; positions from rows × columns on, at the end, are of values that
 * stand for no entry.
 */
export function sparseLayout(positions: ArrayLike<number>, rows: number, columns: number): Uint32Array {
  const count = positions.length;
  const { rowStart, order, columnStart } = partsOf({ rows, columns, count });
  const layout = new Uint32Array(sparseLayoutSize(rows, columns, count));
  let live = 0;
  for (let k = 0; k < count; k++) {
    layout[k] = positions[k];
    if (positions[k] >= rows * columns) continue;
    live++;
    layout[rowStart + Math.floor(positions[k] / columns) + 1]++;
    layout[columnStart + (positions[k] % columns) + 1]++;
  }
  for (let row = 0; row < rows; row++) layout[rowStart + row + 1] += layout[rowStart + row];
  for (let c = 0; c < columns; c++) layout[columnStart + c + 1] += layout[columnStart + c];
  const next = layout.slice(columnStart, columnStart + columns);
  for (let k = 0; k < live; k++) layout[order + next[positions[k] % columns]++] = k;
  return layout;
}

const productOp: Op<SparseAttrs> = {
  name: 'sparseProduct',
  infer: ([x], { rows, columns, turned }) => [
    { shape: [...x.shape.slice(0, -1), turned ? columns : rows], dtype: 'f32' },
  ],
  gradient: ({ inputs: [x, values, layout], dys, attrs, wants }) => {
    const dy = dys[0]!;
    const [outer, inner] = attrs.turned ? [x, dy] : [dy, x];
    return [
      wants[0] ? trace(productOp, [dy, values, layout], { ...attrs, turned: !attrs.turned })[0] : null,
      wants[1] ? trace(sampledOp, [outer, inner, layout], attrs)[0] : null,
      null,
    ];
  },
  lower: {
    kind: 'point',
    body: (w, a) => {
      const { rowStart, order, columnStart } = partsOf(a);
      const [width, from, start] = a.turned
        ? [a.columns, a.rows, columnStart]
        : [a.rows, a.columns, rowStart];
      const at = (i: string) => w.read(2, i);
      const place = a.turned
        ? `let k = ${at(`${order}u + j`)}; let c = ${at('k')} / ${a.columns}u;`
        : `let k = j; let c = ${at('k')} - n * ${a.columns}u;`;
      return `  let n = i % ${width}u;
  let base = (i / ${width}u) * ${from}u;
  var value = 0.0;
  for (var j = ${at(`${start}u + n`)}; j < ${at(`${start}u + n + 1u`)}; j++) {
    ${place}
    value += ${w.read(1, 'k')} * ${w.read(0, 'base + c')};
  }`;
    },
    flops: ({ inputs: [x], attrs }) => 2 * rowsOf(x) * attrs.count,
  },
};

const rowsOf = (x: TensorType) => sizeOf(x.shape.slice(0, -1));

/** Σ over rows t of outer[t, row_k] inner[t, column_k], for each value: two passes, in a fixed order. */
const sampledOp: Op<SparseAttrs> = {
  name: 'sampledProduct',
  infer: (_, { count }) => [{ shape: [count], dtype: 'f32' }],
  gradient: ({ inputs: [outer, inner, layout], dys, attrs, wants }) => [
    wants[0] ? trace(productOp, [inner, dys[0]!, layout], { ...attrs, turned: false })[0] : null,
    wants[1] ? trace(productOp, [outer, dys[0]!, layout], { ...attrs, turned: true })[0] : null,
    null,
  ],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, { rows, columns, count }) => {
      const total = rowsOf(w.inputs[0]);
      const chunks = Math.max(1, Math.ceil(total / CHUNK));
      const parts = w.scratch(chunks * count);
      flatKernel(w, 'parts', chunks * count, (k) => {
        const [outer, inner, layout] = w.inputs.map((t) => k.tensor(t));
        return `  let at = ${layout.at(`i % ${count}u`)};
  let chunk = i / ${count}u;
  var sum = 0.0;
  if (at < ${rows * columns}u) {
    let row = at / ${columns}u;
    let column = at % ${columns}u;
    for (var t = chunk * ${CHUNK}u; t < min(${total}u, (chunk + 1u) * ${CHUNK}u); t++) {
      sum += ${outer.at(`t * ${rows}u + row`)} * ${inner.at(`t * ${columns}u + column`)};
    }
  }
  ${k.bind(parts, { writes: true }).set('i', 'sum')}`;
      });
      flatKernel(w, 'sum', count, (k) => {
        const read = k.bind(parts);
        return `  var sum = 0.0;
  for (var c = 0u; c < ${chunks}u; c++) { sum += ${read.at(`c * ${count}u + i`)}; }
  ${k.finish('i', 'sum')}`;
      });
    },
    flops: ({ inputs: [outer], attrs }) => 2 * rowsOf(outer) * attrs.count,
  },
};

/**
 * x [..., columns] times the transpose of a sparse matrix [rows, columns]: y[..., row_k] += values_k x[..., column_k].
 * `values` [count] f32; `layout` u32, made by `sparseLayout`, may change from run to run. No dense matrix is formed,
 * forward or backward. Throws `ShapeError`.
 */
export function sparseLinear(x: Tensor, values: Tensor, layout: Tensor, rows: number): Tensor {
  const columns = x.shape.at(-1) ?? 1;
  const count = sizeOf(values.shape);
  if (layout.dtype !== 'u32' || sizeOf(layout.shape) !== sparseLayoutSize(rows, columns, count))
    throw new ShapeError(
      `sparseLinear: ${count} values of a matrix [${rows}, ${columns}] take a layout of ${sparseLayoutSize(rows, columns, count)} u32, not ${layout.dtype} [${layout.shape}].`,
    );
  return trace(productOp, [x, values, layout], { rows, columns, count, turned: false })[0];
}
