import { constant } from '../graph/leaves.ts';
import type { Op } from '../graph/op.ts';
import { type Tensor, trace } from '../graph/tensor.ts';

/** A matrix [to, from] with few neighbouring entries a row, `taps` of them from `starts[j]` on. */
interface Band {
  from: number;
  to: number;
  taps: number;
  starts: Uint32Array;
  weights: Float32Array;
}

interface ResampleAttrs {
  axis: number;
  /** The matrix itself, row by row: its transpose is the gradient's. */
  matrix: Float64Array;
  from: number;
  to: number;
  taps: number;
}

/** Inputs x, starts u32 [to], weights [to, taps]: the matrix applied along one axis. */
const resampleOp: Op<ResampleAttrs> = {
  name: 'resample',
  infer: ([x], a) => [{ shape: x.shape.map((n, i) => (i === a.axis ? a.to : n)), dtype: 'f32' }],
  gradient: ({ dys, attrs: a }) => {
    const turned = new Float64Array(a.matrix.length);
    for (let j = 0; j < a.to; j++)
      for (let i = 0; i < a.from; i++) turned[i * a.to + j] = a.matrix[j * a.from + i];
    return [resample(dys[0]!, a.axis, turned, a.to, a.from), null, null];
  },
  lower: {
    kind: 'point',
    body: (w, a) => {
      const inner = w.inputs[0].shape.slice(a.axis + 1).reduce((p, n) => p * n, 1);
      return `  let j = i / ${inner}u % ${a.to}u;
  let base = i / ${inner * a.to}u * ${inner * a.from}u + i % ${inner}u;
  let start = ${w.read(1, 'j')};
  var value = 0.0;
  for (var t = 0u; t < ${a.taps}u; t++) {
    value += ${w.read(2, `j * ${a.taps}u + t`)} * ${w.read(0, `base + (start + t) * ${inner}u`)};
  }`;
    },
  },
};

function bandOf(matrix: Float64Array, from: number, to: number): Band {
  const first = new Uint32Array(to);
  const last = new Uint32Array(to);
  for (let j = 0; j < to; j++) {
    const row = matrix.subarray(j * from, (j + 1) * from);
    first[j] = Math.max(
      0,
      row.findIndex((v) => v !== 0),
    );
    last[j] = Math.max(
      first[j],
      row.findLastIndex((v) => v !== 0),
    );
  }
  const taps = first.reduce((n, f, j) => Math.max(n, last[j] - f + 1), 1);
  const starts = first.map((f) => Math.min(f, from - taps));
  const weights = Float32Array.from(
    { length: to * taps },
    (_, i) => matrix[Math.floor(i / taps) * from + starts[Math.floor(i / taps)] + (i % taps)],
  );
  return { from, to, taps, starts, weights };
}

function resample(x: Tensor, axis: number, matrix: Float64Array, from: number, to: number): Tensor {
  const band = bandOf(matrix, from, to);
  const attrs = { axis, matrix, from, to, taps: band.taps };
  const starts = constant(band.starts, [to]);
  const weights = constant(band.weights, [to, band.taps]);
  return trace(resampleOp, [x, starts, weights], attrs)[0];
}

/** Keys' cubic kernel. */
function cubic(x: number, a: number): number {
  const t = Math.abs(x);
  if (t < 1) return (a + 2) * t ** 3 - (a + 3) * t ** 2 + 1;
  return t < 2 ? a * (t ** 3 - 5 * t ** 2 + 8 * t - 4) : 0;
}

type Filter = 'bilinear' | 'bicubic';

/** The matrix [to, from] of one axis, PyTorch's `interpolate` with align_corners=False. */
export function resizeMatrix(from: number, to: number, filter: Filter, antialias: boolean): Float64Array {
  const matrix = new Float64Array(to * from);
  const scale = from / to;
  for (let j = 0; j < to; j++) {
    const put = (i: number, w: number) => {
      matrix[j * from + Math.min(Math.max(i, 0), from - 1)] += w;
    };
    if (antialias) {
      const wide = Math.max(scale, 1);
      const reach = (filter === 'bicubic' ? 2 : 1) * wide;
      const centre = scale * (j + 0.5);
      const start = Math.max(Math.trunc(centre - reach + 0.5), 0);
      const end = Math.min(Math.trunc(centre + reach + 0.5), from);
      const weigh = (x: number) => (filter === 'bicubic' ? cubic(x, -0.5) : Math.max(0, 1 - Math.abs(x)));
      const weights = Array.from({ length: end - start }, (_, t) => weigh((start + t - centre + 0.5) / wide));
      const sum = weights.reduce((a, w) => a + w, 0);
      weights.forEach((w, t) => {
        put(start + t, w / sum);
      });
      continue;
    }
    const place = scale * (j + 0.5) - 0.5;
    const at = filter === 'bilinear' ? Math.max(place, 0) : place;
    const i = Math.floor(at);
    if (filter === 'bilinear') {
      put(i, 1 - (at - i));
      put(i + 1, at - i);
    } else for (let t = -1; t <= 2; t++) put(i + t, cubic(at - i - t, -0.75));
  }
  return matrix;
}

function resize(x: Tensor, [h, w]: readonly [number, number], filter: Filter, antialias: boolean): Tensor {
  let y = x;
  for (const [axis, to] of [
    [1, h],
    [2, w],
  ]) {
    const from = x.shape[axis];
    if (from !== to) y = resample(y, axis, resizeMatrix(from, to, filter, antialias), from, to);
  }
  return y;
}

/** x [B, H, W, C] resized to [B, h, w, C] as PyTorch's bilinear `interpolate` does with align_corners=False. */
export const resizeBilinear = (
  x: Tensor,
  size: readonly [number, number],
  { antialias = false } = {},
): Tensor => resize(x, size, 'bilinear', antialias);

/** The same with PyTorch's bicubic filter (a = -0.75, or -0.5 where it antialiases). */
export const resizeBicubic = (
  x: Tensor,
  size: readonly [number, number],
  { antialias = false } = {},
): Tensor => resize(x, size, 'bicubic', antialias);
