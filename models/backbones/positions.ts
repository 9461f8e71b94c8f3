import { constant, matmul, reshape, type Tensor } from '../../gpu-shaders/index.ts';
import { ConfigError } from './backbone.ts';

export interface Grid {
  height: number;
  width: number;
}

export interface Resampling {
  from: Grid;
  to: Grid;
  /** Widens the filter where the grid shrinks. */
  antialias?: boolean;
  /** Tokens with a position of their own before the patches: the class token by default. */
  leading?: number;
  /** Tokens without a position (registers) that stand between these and the patches. */
  unplaced?: number;
}

/**
 * Position embeddings [1, leading + from, D] or [leading + from, D] on another grid of patches:
 * [leading + unplaced + to, D], as PyTorch's bicubic `interpolate` (align_corners off) resamples them, zero for tokens
 * without a position. One constant matrix does it all, so this is a product that is computed once for frozen positions
 * and differentiates where they are trained.
 */
export function resamplePositions(
  positions: Tensor,
  { from, to, antialias = false, leading = 1, unplaced = 0 }: Resampling,
): Tensor {
  const axis = antialias ? antialiasedCubic : cubic;
  const rows = axis(from.height, to.height);
  const columns = axis(from.width, to.width);
  const shape = [leading + unplaced + to.height * to.width, leading + from.height * from.width];
  const matrix = new Float32Array(shape[0] * shape[1]);
  for (let i = 0; i < leading; i++) matrix[i * shape[1] + i] = 1;
  let at = (leading + unplaced) * shape[1];
  for (let y = 0; y < to.height; y++)
    for (let x = 0; x < to.width; x++) {
      at += leading; // No patch reads the places of the tokens before the patches.
      for (let sy = 0; sy < from.height; sy++)
        for (let sx = 0; sx < from.width; sx++) matrix[at++] = rows[y][sy] * columns[x][sx];
    }
  return matmul(constant(matrix, shape), reshape(positions, [shape[1], -1]));
}

/**
 * Learnt positions (as `resamplePositions` takes them) of a square grid, [tokens, D], for a grid of patches: as they are
 * where both grids are the same. Throws `ConfigError` for another grid where they form no square.
 */
export function placePositions(learnt: Tensor, to: Grid, leading: number): Tensor {
  const [count, hidden] = learnt.shape.slice(-2);
  const side = Math.floor(Math.sqrt(count - leading));
  if (to.height === to.width && to.height * to.width === count - leading)
    return reshape(learnt, [count, hidden]);
  if (side * side !== count - leading)
    throw new ConfigError(
      `Its ${count - leading} position embeddings do not form a square, so only its own picture size can be used.`,
    );
  return resamplePositions(learnt, { from: { height: side, width: side }, to, leading });
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
