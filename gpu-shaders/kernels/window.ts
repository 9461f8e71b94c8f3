import { ShapeError, type TensorType } from '../graph/tensor.ts';

/** How a window slides over the rows and columns of an NHWC tensor. */
export interface Window {
  batch: number;
  h: number;
  w: number;
  c: number;
  oh: number;
  ow: number;
  kh: number;
  kw: number;
  sh: number;
  sw: number;
  dh: number;
  dw: number;
  /** Padding above and to the left; below and to the right it follows from the sizes. */
  top: number;
  left: number;
}

export interface WindowOptions {
  stride?: number | readonly [number, number];
  dilation?: number | readonly [number, number];
  /**
   * Pixels on every side, as [top, bottom, left, right], or TensorFlow's `same`: the output has ceil(size / stride)
   * places and an odd pixel of padding goes below and to the right.
   */
  padding?: number | readonly [number, number, number, number] | 'same';
}

const pair = (v: number | readonly [number, number] | undefined): readonly [number, number] =>
  typeof v === 'object' ? v : [v ?? 1, v ?? 1];

/** Sizes of a window of kh × kw over x [B, H, W, C]. */
export function windowOf(x: TensorType, kh: number, kw: number, o: WindowOptions): Window {
  const [batch, h, w, c] = x.shape;
  const [sh, sw] = pair(o.stride);
  const [dh, dw] = pair(o.dilation);
  const [reachY, reachX] = [(kh - 1) * dh + 1, (kw - 1) * dw + 1];
  const { padding = 0 } = o;
  let sides: readonly [number, number, number, number];
  if (padding === 'same') {
    const y = Math.max((Math.ceil(h / sh) - 1) * sh + reachY - h, 0);
    const x = Math.max((Math.ceil(w / sw) - 1) * sw + reachX - w, 0);
    sides = [y >> 1, y - (y >> 1), x >> 1, x - (x >> 1)];
  } else sides = typeof padding === 'number' ? [padding, padding, padding, padding] : padding;
  const [top, bottom, left, right] = sides;
  const oh = Math.floor((h + top + bottom - reachY) / sh) + 1;
  const ow = Math.floor((w + left + right - reachX) / sw) + 1;
  if (oh < 1 || ow < 1)
    throw new ShapeError(
      `A window of ${reachY}×${reachX} does not fit into [${x.shape}] padded by [${sides}].`,
    );
  return { batch, h, w, c, oh, ow, kh, kw, sh, sw, dh, dw, top, left };
}
