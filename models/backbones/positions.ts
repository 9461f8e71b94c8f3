import { constant, matmul, reshape, type Tensor } from '../../gpu-shaders/index.ts';

export interface Grid {
  height: number;
  width: number;
}

export interface Resampling {
  from: Grid;
  to: Grid;
  /** Widens the filter where the grid shrinks. */
  antialias?: boolean;
  /** Tokens without a position (registers) that stand between the class token and the patches. */
  unplaced?: number;
}

/**
 * Position embeddings [1, 1 + from, D] (class token first) on another grid of patches: [1 + unplaced + to, D], as
 * PyTorch's bicubic `interpolate` (align_corners off) resamples them, zero for tokens without a position. One
 * constant matrix does it all, so this is a product that is computed once for frozen positions and differentiates
 * where they are trained.
 */
export function resamplePositions(
  positions: Tensor,
  { from, to, antialias = false, unplaced = 0 }: Resampling,
): Tensor {
  const axis = antialias ? antialiasedCubic : cubic;
  const rows = axis(from.height, to.height);
  const columns = axis(from.width, to.width);
  const shape = [1 + unplaced + to.height * to.width, 1 + from.height * from.width];
  const matrix = new Float32Array(shape[0] * shape[1]);
  matrix[0] = 1;
  let at = (1 + unplaced) * shape[1];
  for (let y = 0; y < to.height; y++)
    for (let x = 0; x < to.width; x++) {
      at++; // No patch reads the class token's place.
      for (let sy = 0; sy < from.height; sy++)
        for (let sx = 0; sx < from.width; sx++) matrix[at++] = rows[y][sy] * columns[x][sx];
    }
  return matmul(constant(matrix, shape), reshape(positions, [shape[1], -1]));
}

/** Keys' cubic kernel at distance x, for sharpness a. */
function kernel(x: number, a: number): number {
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((d - 5) * d + 8) * d * a - 4 * a;
  return 0;
}

/** Four neighbours, borders repeated, a = -0.75: PyTorch's plain bicubic. [to][from]. */
function cubic(from: number, to: number): Float64Array[] {
  return Array.from({ length: to }, (_, i) => {
    const weights = new Float64Array(from);
    const centre = ((i + 0.5) * from) / to - 0.5;
    const left = Math.floor(centre);
    for (let k = -1; k <= 2; k++)
      weights[Math.min(from - 1, Math.max(0, left + k))] += kernel(centre - left - k, -0.75);
    return weights;
  });
}

/** A filter as wide as the shrinkage, normalised at the borders, a = -0.5: PyTorch's antialiased bicubic. */
function antialiasedCubic(from: number, to: number): Float64Array[] {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = 2 * stretch;
  return Array.from({ length: to }, (_, i) => {
    const weights = new Float64Array(from);
    const centre = scale * (i + 0.5);
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let j = first; j < end; j++) {
      weights[j] = kernel((j + 0.5 - centre) / stretch, -0.5);
      sum += weights[j];
    }
    return weights.map((w) => w / sum);
  });
}
