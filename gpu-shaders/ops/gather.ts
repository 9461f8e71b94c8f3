import type { Op } from '../graph/op.ts';
import { type Node, type Shape, ShapeError, sizeOf, type Tensor, trace } from '../graph/tensor.ts';
import { flatKernel } from '../kernels/rows.ts';
import { add } from './elementwise.ts';

function checkIds(name: string, ids: Tensor): void {
  if (ids.dtype !== 'i32' && ids.dtype !== 'u32')
    throw new ShapeError(`${name}: ids are i32 or u32, not ${ids.dtype}. Cast them first.`);
}

interface TableAttrs {
  rows: number;
  width: number;
  /** The id that names the table's first row. */
  first: number;
}

/** An id, negative ones included, as a u32 that is out of range where it names no row: what lies below wraps. */
const id = (text: string, first = 0) => (first ? `(u32(${text}) - ${first}u)` : `u32(${text})`);

const gatherOp: Op<TableAttrs> = {
  name: 'gatherRows',
  infer: ([, ids], { width }) => [{ shape: [...ids.shape, width], dtype: 'f32' }],
  gradient: ({ inputs: [, ids], dys, attrs }) => [trace(scatterOp, [dys[0]!, ids], attrs)[0], null],
  lower: {
    kind: 'point',
    body: (w, { rows, width, first }) => `  let id = ${id(w.read(1, `i / ${width}u`), first)};
  var value = 0.0;
  if (id < ${rows}u) { value = ${w.read(0, `id * ${width}u + i % ${width}u`)}; }`,
  },
};

export const isGather = (node: Node): boolean => node.op === gatherOp;

/**
 * Adds rows of dy to the table rows that their ids name, without atomics: each id finds the next place with the
 * same id, and the first of each chain sums its rows in order. The sum is the same on every run and device.
 */
const scatterOp: Op<TableAttrs> = {
  name: 'scatterRows',
  infer: (_, { rows, width }) => [{ shape: [rows, width], dtype: 'f32' }],
  gradient: ({ inputs: [, ids], dys, attrs }) => [trace(gatherOp, [dys[0]!, ids], attrs)[0], null],
  lower: {
    kind: 'kernels',
    // The table is first cleared and then written row by row, so nothing can ride behind a single write.
    fuses: false,
    emit: (w, { rows, width, first }) => {
      const n = sizeOf(w.inputs[1].shape);
      // For each place the next one with its id (n at the end of a chain), then whether it begins a chain.
      const chains = w.scratch(2 * n, 'u32');
      flatKernel(w, 'clear', rows * width, (k) => k.tensor(w.outputs[0], { writes: true }).set('i', '0.0'));
      flatKernel(w, 'link', n, (k) => {
        const ids = k.tensor(w.inputs[1]);
        const out = k.bind(chains, { writes: true });
        return `  let own = ${ids.at('i')};
  var next = i + 1u;
  while (next < ${n}u && ${ids.at(`min(next, ${n - 1}u)`)} != own) { next++; }
  var before = 0u;
  while (before < i && ${ids.at('before')} != own) { before++; }
  ${out.set('i', 'next')}
  ${out.set(`${n}u + i`, `select(0u, 1u, before == i && ${id('own', first)} < ${rows}u)`)}`;
      });
      flatKernel(w, 'sum', n * width, (k) => {
        const dy = k.tensor(w.inputs[0]);
        const chain = k.bind(chains);
        const row = id(k.tensor(w.inputs[1]).at('place'), first);
        return `  let place = i / ${width}u;
  if (${chain.at(`${n}u + place`)} == 0u) { return; }
  let d = i % ${width}u;
  var value = 0.0;
  for (var at = place; at < ${n}u; at = ${chain.at('at')}) { value += ${dy.at(`at * ${width}u + d`)}; }
  ${k.tensor(w.outputs[0], { writes: true }).set(`${row} * ${width}u + d`, 'value')}`;
      });
    },
  },
};

/**
 * Rows of `table` [V, D] (f32 or f16) named by `ids` [...] (i32 or u32), its first row being number `first`: [..., D];
 * zeros for an id that names none. The gradient adds rows in a fixed order.
 */
export function gatherRows(table: Tensor, ids: Tensor, first = 0): Tensor {
  checkIds('gatherRows', ids);
  const [rows, width] = table.shape;
  if (table.shape.length !== 2)
    throw new ShapeError(`gatherRows: the table [${table.shape}] is not a matrix.`);
  return trace(gatherOp, [table, ids], { rows, width, first })[0];
}

/**
 * Rows named by `ids` [...] of a table that comes in bands of rows, one after the other: [..., D]. A table of a
 * vocabulary may be larger than what a kernel can bind; each band is read by itself, and all but one give zeros.
 */
export function embedding(bands: readonly Tensor[], ids: Tensor): Tensor {
  let first = 0;
  const parts = bands.map((band) => {
    const part = gatherRows(band, ids, first);
    first += band.shape[0];
    return part;
  });
  return parts.reduce((sum, part) => add(sum, part));
}

const oneHotOp: Op<{ shape: Shape }> = {
  name: 'oneHot',
  infer: (_, { shape }) => [{ shape, dtype: 'f32' }],
  lower: {
    kind: 'point',
    body: (w, { shape }) => {
      const classes = shape.at(-1)!;
      return `  let value = select(0.0, 1.0, ${id(w.read(0, `i / ${classes}u`))} == i % ${classes}u);`;
    },
  },
};

/** f32 [..., classes] with 1 at each id (i32 or u32); all zeros for an id outside [0, classes). */
export function oneHot(ids: Tensor, classes: number): Tensor {
  checkIds('oneHot', ids);
  return trace(oneHotOp, [ids], { shape: [...ids.shape, classes] })[0];
}
