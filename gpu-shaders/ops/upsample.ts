import { ShapeError, type Tensor } from '../graph/tensor.ts';
import { broadcastTo } from './elementwise.ts';
import { reshape } from './reshape.ts';

/** x [B, H, W, C] with every place repeated `factor` times along both axes: [B, H factor, W factor, C]. */
export function upsampleNearest(x: Tensor, factor: number): Tensor {
  if (x.shape.length !== 4 || !Number.isInteger(factor) || factor < 1)
    throw new ShapeError(`upsampleNearest: [${x.shape}] cannot be made ${factor} times as large.`);
  const [b, h, w, c] = x.shape;
  const repeated = broadcastTo(reshape(x, [b, h, 1, w, 1, c]), [b, h, factor, w, factor, c]);
  return reshape(repeated, [b, h * factor, w * factor, c]);
}
