/** frozen + scale (trained - frozen): what a value trained in place of a frozen one comes to at the scale that is set. */
export function resting(frozen: Float32Array, trained: Float32Array, scale: number): Float32Array {
  return trained.map((x, i) => frozen[i] + scale * (x - frozen[i]));
}
