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
const partsOf = ({ rows, columns, count }: Omit<SparseAttrs, 'turned'>) => ({
  positions: 2,
  byRow: { start: count + 2, order: count + rows + 3 },
  byColumn: { start: 2 * count + rows + 3, order: 2 * count + rows + columns + 4 },
});

/** Words of a layout. */
export const sparseLayoutSize = (rows: number, columns: number, count: number): number =>
  3 * count + rows + columns + 4;

/**
 * Where the values of a sparse matrix [rows, columns] lie, as the kernels read it: rows and columns; their flat positions; where each row
 * begins in the list of the values' numbers by row, and that list; the same by column. `positions` are distinct, in any
 * order; a value whose position is rows × columns or more stands for no entry.
 */
export function sparseLayout(positions: ArrayLike<number>, rows: number, columns: number): Uint32Array {
  const count = positions.length;
  const layout = new Uint32Array(sparseLayoutSize(rows, columns, count));
  const { positions: first, byRow, byColumn } = partsOf({ rows, columns, count });
  layout.set([rows, columns]);
  layout.set(Array.from(positions), first);
  const group = ({ start, order }: typeof byRow, groups: number, groupOf: (p: number) => number) => {
    const live = (use: (group: number, k: number) => void) => {
      for (let k = 0; k < count; k++) if (positions[k] < rows * columns) use(groupOf(positions[k]), k);
    };
    live((g) => layout[start + g + 1]++);
    for (let g = 0; g < groups; g++) layout[start + g + 1] += layout[start + g];
    const next = layout.slice(start, start + groups);
    live((g, k) => {
      layout[order + next[g]++] = k;
    });
  };
  group(byRow, rows, (p) => Math.floor(p / columns));
  group(byColumn, columns, (p) => p % columns);
  return layout;
}

/** What a layout says. */
export function readLayout(layout: ArrayLike<number>): {
  rows: number;
  columns: number;
  positions: Uint32Array;
} {
  const [rows, columns] = [layout[0], layout[1]];
  const count = (layout.length - rows - columns - 4) / 3;
  return { rows, columns, positions: Uint32Array.from({ length: count }, (_, k) => layout[2 + k]) };
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
  // Rows stand alone.
  narrow: ({ inputs: [x], outputs: [y], attrs }, { begin, shape }) =>
    shape.at(-1) === y.shape.at(-1)
      ? { inputs: [{ begin, shape: [...shape.slice(0, -1), x.shape.at(-1)!] }, null, null], attrs }
      : null,
  lower: {
    kind: 'point',
    body: (w, a) => {
      const { positions, byRow, byColumn } = partsOf(a);
      const { start, order } = a.turned ? byColumn : byRow;
      const [width, from] = a.turned ? [a.columns, a.rows] : [a.rows, a.columns];
      const at = (i: string) => w.read(2, i);
      const place = at(`${positions}u + k`);
      const other = a.turned ? `${place} / ${a.columns}u` : `${place} - n * ${a.columns}u`;
      return `  let n = i % ${width}u;
  let base = (i / ${width}u) * ${from}u;
  var value = 0.0;
  for (var j = ${at(`${start}u + n`)}; j < ${at(`${start}u + n + 1u`)}; j++) {
    let k = ${at(`${order}u + j`)};
    value += ${w.read(1, 'k')} * ${w.read(0, `base + ${other}`)};
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
      const { positions } = partsOf({ rows, columns, count });
      const total = rowsOf(w.inputs[0]);
      const chunks = Math.max(1, Math.ceil(total / CHUNK));
      const parts = w.scratch(chunks * count);
      flatKernel(w, 'parts', chunks * count, (k) => {
        const [outer, inner, layout] = w.inputs.map((t) => k.tensor(t));
        return `  let at = ${layout.at(`${positions}u + i % ${count}u`)};
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
