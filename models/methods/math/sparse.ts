/** Values at some positions of a flat weight, which they are added to. Positions are ascending and distinct. */
export interface SparseUpdate {
  positions: Uint32Array;
  values: Float32Array;
}

/** Positions of the `count` largest scores, ascending; of equal ones those that come first. */
export function strongest(scores: Float32Array, count: number): Uint32Array {
  if (count >= scores.length) return Uint32Array.from(scores.keys());
  if (count <= 0) return new Uint32Array();
  const threshold = scores.slice().sort()[scores.length - count];
  let ties = count;
  for (const s of scores) if (s > threshold) ties--;
  const found = new Uint32Array(count);
  let n = 0;
  for (let i = 0; i < scores.length && n < count; i++)
    if (scores[i] > threshold || (scores[i] === threshold && ties-- > 0)) found[n++] = i;
  return found;
}

/** `count` distinct numbers below `size`, ascending (Floyd's draw: Bentley and Floyd, 1987). */
export function drawn(count: number, size: number, draw: () => number): Uint32Array {
  const found = new Set<number>();
  for (let top = size - count; top < size; top++) {
    const pick = Math.floor(draw() * (top + 1));
    found.add(found.has(pick) ? top : pick);
  }
  return Uint32Array.from(found).sort();
}

/**
 * `count` positions of a matrix [rows, columns] in whole lines: its diagonal, then rows and columns by turns from a drawn
 * place on, the last one cut short (SHiRA-Struct: Bhardwaj et al., 2024, 3.1).
 */
export function lines(rows: number, columns: number, count: number, draw: () => number): Uint32Array {
  const found = new Set<number>();
  const [row, column] = [Math.floor(draw() * rows), Math.floor(draw() * columns)];
  const put = (at: number) => {
    if (found.size < count) found.add(at);
  };
  for (let i = 0; i < Math.min(rows, columns); i++) put(i * columns + i);
  for (let n = 0; n < Math.max(rows, columns) && found.size < count; n++) {
    if (n < rows) for (let c = 0; c < columns; c++) put(((row + n) % rows) * columns + c);
    if (n < columns) for (let r = 0; r < rows; r++) put(r * columns + ((column + n) % columns));
  }
  return Uint32Array.from(found).sort();
}

/** Adds an update in place, and gives what puts the weight's own bits back: `restore` with it. */
export function switchIn(weight: Float32Array, { positions, values }: SparseUpdate): SparseUpdate {
  const before = new Float32Array(positions.length);
  for (let k = 0; k < positions.length; k++) {
    before[k] = weight[positions[k]];
    weight[positions[k]] = before[k] + values[k];
  }
  return { positions, values: before };
}

/** Puts the values that `switchIn` found back in place, to the bit. */
export function restore(weight: Float32Array, { positions, values }: SparseUpdate): void {
  for (let k = 0; k < positions.length; k++) weight[positions[k]] = values[k];
}

/** Sum of updates, each times its weight; the order does not matter but for rounding. */
export function addUpdates(updates: readonly SparseUpdate[], weights: readonly number[]): SparseUpdate {
  const sums = new Map<number, number>();
  updates.forEach(({ positions, values }, u) => {
    for (let k = 0; k < positions.length; k++)
      sums.set(positions[k], (sums.get(positions[k]) ?? 0) + weights[u] * values[k]);
  });
  const positions = Uint32Array.from(sums.keys()).sort();
  return { positions, values: Float32Array.from(positions, (p) => sums.get(p)!) };
}

/** Entries that both updates change, and the share of those in what either changes. */
export function overlap(a: Uint32Array, b: Uint32Array): { shared: number; share: number } {
  const own = new Set(a);
  const shared = b.reduce((n, p) => n + (own.has(p) ? 1 : 0), 0);
  const either = a.length + b.length - shared;
  return { shared, share: either ? shared / either : 0 };
}

/**
 * How much two updates [rows, columns] get in each other's way, by A₁ᵀ A₂: its Frobenius norm (AWOM), and the share of
 * its entries that are zero (AWOR), 1 where they are orthogonal by their places alone (Bhardwaj et al., 2024, 4.2).
 */
export function interference(
  a: SparseUpdate,
  b: SparseUpdate,
  columns: number,
): { awom: number; awor: number } {
  const product = new Map<number, number>();
  const rows = byRow(b, columns);
  for (let k = 0; k < a.positions.length; k++) {
    const left = a.positions[k] % columns;
    for (const j of rows.get(Math.floor(a.positions[k] / columns)) ?? []) {
      const at = left * columns + (b.positions[j] % columns);
      product.set(at, (product.get(at) ?? 0) + a.values[k] * b.values[j]);
    }
  }
  let [square, filled] = [0, 0];
  for (const x of product.values()) {
    square += x * x;
    if (x !== 0) filled++;
  }
  return { awom: Math.sqrt(square), awor: 1 - filled / columns ** 2 };
}

function byRow({ positions }: SparseUpdate, columns: number): Map<number, number[]> {
  const found = new Map<number, number[]>();
  positions.forEach((p, k) => {
    const row = Math.floor(p / columns);
    const held = found.get(row);
    if (held) held.push(k);
    else found.set(row, [k]);
  });
  return found;
}
