/** A matrix with its axes exchanged; `shape` is what comes out. */
export function turned<A extends Float32Array | Uint16Array>(data: A, shape: readonly number[]): A {
  const [rows, columns] = shape;
  const out = data.slice() as A;
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[i * columns + j] = data[j * rows + i];
  return out;
}
