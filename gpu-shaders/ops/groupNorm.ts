import { ShapeError, type Tensor } from '../graph/tensor.ts';
import { add, mul } from './elementwise.ts';
import { transpose } from './layout.ts';
import { layerNorm } from './norm.ts';
import { reshape } from './reshape.ts';

/**
 * Group normalisation of x [B, …, C] (NHWC): each of `groups` neighbouring bands of channels is centred and scaled over
 * all its places (Wu & He, 2018), then w · x + b with w, b [C] or null. Throws `ShapeError` where the channels do not
 * divide.
 */
export function groupNorm(
  x: Tensor,
  groups: number,
  w: Tensor | null,
  b: Tensor | null,
  eps: number,
): Tensor {
  const channels = x.shape.at(-1)!;
  if (x.shape.length < 2 || channels % groups)
    throw new ShapeError(`groupNorm: the channels of [${x.shape}] do not divide into ${groups} groups.`);
  const [batch, ...rest] = x.shape;
  const places = rest.slice(0, -1).reduce((n, d) => n * d, 1);
  const each = channels / groups;
  // A group's values side by side are a row, and a row is what a layer norm takes.
  const rows = transpose(reshape(x, [batch, places, groups, each]), [0, 2, 1, 3]);
  const even = layerNorm(reshape(rows, [batch, groups, places * each]), null, null, eps);
  const back = transpose(reshape(even, [batch, groups, places, each]), [0, 2, 1, 3]);
  const scaled = w ? mul(reshape(back, x.shape), w) : reshape(back, x.shape);
  return b ? add(scaled, b) : scaled;
}
