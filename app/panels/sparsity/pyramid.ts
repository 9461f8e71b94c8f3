/** Counts of marked weights in ever larger squares: level k has one cell for 2ᵏ × 2ᵏ weights. */
export interface Pyramid {
  levels: { rows: number; columns: number; counts: Uint32Array }[];
}

/** `indices` are flat positions in a rows × columns matrix. */
export function pyramidOf(rows: number, columns: number, indices: Uint32Array): Pyramid {
  const base = new Uint32Array(rows * columns);
  for (const at of indices) base[at] = 1;
  const levels = [{ rows, columns, counts: base }];
  for (let last = levels[0]!; last.rows > 1 || last.columns > 1; last = levels.at(-1)!) {
    const [r, c] = [Math.ceil(last.rows / 2), Math.ceil(last.columns / 2)];
    const counts = new Uint32Array(r * c);
    for (let y = 0; y < last.rows; y++)
      for (let x = 0; x < last.columns; x++)
        counts[(y >> 1) * c + (x >> 1)]! += last.counts[y * last.columns + x]!;
    levels.push({ rows: r, columns: c, counts });
  }
  return { levels };
}

/** The finest level whose cells are not smaller than half a pixel at `scale` pixels a weight. */
export function levelAt(scale: number, levels: number): number {
  return Math.min(levels - 1, Math.max(0, Math.ceil(Math.log2(0.5 / scale))));
}

/** Marked weights that both lists have, by one walk through both: each ascends. */
export function overlapOf(a: Uint32Array, b: Uint32Array): number {
  let [i, j, both] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    if (a[i]! < b[j]!) i++;
    else if (a[i]! > b[j]!) j++;
    else {
      both++;
      i++;
      j++;
    }
  }
  return both;
}

/** A part of a matrix: rows top to bottom, columns left to right, the ends not included. */
export interface Rectangle {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

/** The whole weights that a drag from one point to another covers, at least one, within the matrix. */
export function covered(
  from: { x: number; y: number },
  to: { x: number; y: number },
  rows: number,
  columns: number,
): Rectangle {
  const within = (v: number, most: number) => Math.min(most - 1, Math.max(0, Math.floor(v)));
  return {
    top: within(Math.min(from.y, to.y), rows),
    left: within(Math.min(from.x, to.x), columns),
    bottom: within(Math.max(from.y, to.y), rows) + 1,
    right: within(Math.max(from.x, to.x), columns) + 1,
  };
}
