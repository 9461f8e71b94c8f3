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

/** Statements that run `use` for each output place (oy, ox) whose window holds input place (y, x) at (ky, kx). */
export function overOutputs(a: Window, use: string): string {
  // Undilated, only every stride-th place of the window meets an output: the loop visits no other.
  const loop = (k: string, at: string, size: number, stride: number, dilation: number) =>
    stride > 1 && dilation === 1
      ? `for (var ${k} = (${at}) % ${stride}u; ${k} < ${size}u; ${k} += ${stride}u)`
      : `for (var ${k} = 0u; ${k} < ${size}u; ${k}++)`;
  const missed = (t: string, stride: number, dilation: number) =>
    stride > 1 && dilation > 1 ? ` || ${t} % ${stride}u != 0u` : '';
  return `  ${loop('ky', `y + ${a.top}u`, a.kh, a.sh, a.dh)} {
    let ty = y + ${a.top}u - ky * ${a.dh}u;
    let oy = ty / ${a.sh}u;
    if (oy >= ${a.oh}u${missed('ty', a.sh, a.dh)}) { continue; }
    ${loop('kx', `x + ${a.left}u`, a.kw, a.sw, a.dw)} {
      let tx = x + ${a.left}u - kx * ${a.dw}u;
      let ox = tx / ${a.sw}u;
      if (ox >= ${a.ow}u${missed('tx', a.sw, a.dw)}) { continue; }
${use}
    }
  }`;
}

/** WGSL that splits flat index `i` of an NHWC tensor of the window's input into b, y, x, c. */
export const inputPlace = (a: Window) => `  let c = i % ${a.c}u;
  let x = i / ${a.c}u % ${a.w}u;
  let y = i / ${a.c * a.w}u % ${a.h}u;
  let b = i / ${a.c * a.w * a.h}u;`;

/** WGSL that splits flat index `i` of an NHWC tensor of the window's output, of `channels`, into b, oy, ox, c. */
export const outputPlace = (a: Window, channels = a.c) => `  let c = i % ${channels}u;
  let ox = i / ${channels}u % ${a.ow}u;
  let oy = i / ${channels * a.ow}u % ${a.oh}u;
  let b = i / ${channels * a.ow * a.oh}u;`;

/** Statements that run `use` for each input place (y, x) inside the window of output place (oy, ox), at (ky, kx). */
export function overWindow(a: Window, use: string): string {
  // Above and left of the input the difference wraps to a large u32, so one comparison checks both ends.
  return `  for (var ky = 0u; ky < ${a.kh}u; ky++) {
    let y = oy * ${a.sh}u + ky * ${a.dh}u - ${a.top}u;
    if (y >= ${a.h}u) { continue; }
    for (var kx = 0u; kx < ${a.kw}u; kx++) {
      let x = ox * ${a.sw}u + kx * ${a.dw}u - ${a.left}u;
      if (x >= ${a.w}u) { continue; }
${use}
    }
  }`;
}
