import {
  add,
  broadcastTo,
  concat,
  constant,
  gatherRows,
  pad,
  reshape,
  slice,
  type Tensor,
  transpose,
} from '../../gpu-shaders/index.ts';

/** Attention inside windows of `side` × `side` places of a map. */
export interface WindowGrid {
  side: number;
  /** Windows down and across the padded map. */
  rows: number;
  columns: number;
}

/** x [B, H, W, C] with zeros below and to the right, so that windows of `side` tile it. */
export function padToWindows(x: Tensor, side: number): { padded: Tensor; grid: WindowGrid } {
  const [, height, width] = x.shape;
  const [rows, columns] = [Math.ceil(height / side), Math.ceil(width / side)];
  const padded = pad(x, [0, 0, 0, 0], [0, rows * side - height, columns * side - width, 0]);
  return { padded, grid: { side, rows, columns } };
}

/** A padded map [B, H, W, C] as windows [B · windows, side², C], row by row. */
export function toWindows(x: Tensor, { side, rows, columns }: WindowGrid): Tensor {
  const [batch, , , channels] = x.shape;
  const cells = reshape(x, [batch * rows, side, columns, side * channels]);
  return reshape(transpose(cells, [0, 2, 1, 3]), [batch * rows * columns, side * side, channels]);
}

/** The reverse of `toWindows`. */
export function fromWindows(windows: Tensor, { side, rows, columns }: WindowGrid): Tensor {
  const channels = windows.shape[2];
  const batch = windows.shape[0] / (rows * columns);
  const cells = reshape(windows, [batch * rows, columns, side, side * channels]);
  return reshape(transpose(cells, [0, 2, 1, 3]), [batch, rows * side, columns * side, channels]);
}

/** x [B, H, W, C] moved up and left by `by` places, or down and right where it is negative; what leaves comes in again. */
export function roll(x: Tensor, by: number): Tensor {
  return rollAxis(rollAxis(x, 1, by), 2, by);
}

function rollAxis(x: Tensor, axis: number, by: number): Tensor {
  const size = x.shape[axis];
  const at = ((by % size) + size) % size;
  if (at === 0) return x;
  const part = (from: number, count: number) =>
    slice(
      x,
      x.shape.map((_, i) => (i === axis ? from : 0)),
      x.shape.map((n, i) => (i === axis ? count : n)),
    );
  return concat([part(at, size - at), part(0, at)], axis);
}

/** Bias [1, heads, T, T] of a table [entries, heads], by the entry that each pair of the T places of a window reads. */
export function pairBias(table: Tensor, entries: Uint32Array, places: number): Tensor {
  const rows = gatherRows(table, constant(entries, [entries.length]));
  const heads = table.shape[1];
  return reshape(transpose(rows, [1, 0]), [1, heads, places, places]);
}

/** A bias [1, heads, T, T] with a mask [windows, T, T] added, for each window of each picture: [B · windows, heads, T, T]. */
export function maskedBias(bias: Tensor, mask: Float32Array, batch: number): Tensor {
  const [, heads, places] = bias.shape;
  const windows = mask.length / (places * places);
  const one = add(bias, constant(mask, [windows, 1, places, places]));
  const all = [windows * heads, places, places];
  const spread = broadcastTo(reshape(one, [1, ...all]), [batch, ...all]);
  return reshape(spread, [batch * windows, heads, places, places]);
}
