import type { Pixels } from './pixels.ts';

/** Filters under the numbers that Pillow and `preprocessor_config.json` use. */
export const Resample = { nearest: 0, lanczos: 1, bilinear: 2, bicubic: 3, box: 4, hamming: 5 } as const;
export type Resample = (typeof Resample)[keyof typeof Resample];

/** A part of a picture in pixels; edges may lie between pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Half-width of each filter in source pixels at scale 1, and its weight at a distance. */
const filters: Partial<Record<Resample, { support: number; weight: (x: number) => number }>> = {
  [Resample.box]: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  [Resample.bilinear]: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  [Resample.hamming]: { support: 1, weight: hamming },
  [Resample.bicubic]: { support: 2, weight: bicubic },
  [Resample.lanczos]: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function hamming(x: number): number {
  const at = Math.abs(x);
  if (at >= 1) return 0;
  return sinc(at) * (0.54 + 0.46 * Math.cos(Math.PI * at));
}

/** Keys' cubic with a = -1/2. */
function bicubic(x: number): number {
  const at = Math.abs(x);
  const a = -0.5;
  if (at < 1) return ((a + 2) * at - (a + 3)) * at * at + 1;
  if (at < 2) return (((at - 5) * at + 8) * at - 4) * a;
  return 0;
}

/** Fraction bits of a weight: 32, less 8 of the value and 2 for sums that overshoot. */
const precision = 22;

interface Taps {
  /** First source index and number of taps of each output index. */
  readonly bounds: Int32Array;
  /** Fixed-point weights, `width` for each output index. */
  readonly weights: Int32Array;
  readonly width: number;
}

/** Weights of one axis: an antialiased filter, widened by the scale when shrinking, normalised, in fixed point. */
function taps(from: number, to: number, size: number, out: number, resample: Resample): Taps {
  const { support, weight } = filters[resample]!;
  const scale = (to - from) / out;
  const widened = Math.max(1, scale);
  const reach = support * widened;
  const width = Math.ceil(reach) * 2 + 1;
  const bounds = new Int32Array(out * 2);
  const weights = new Int32Array(out * width);
  const row = new Float64Array(width);
  for (let i = 0; i < out; i++) {
    const centre = from + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(size, Math.trunc(centre + reach + 0.5)) - first;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      row[k] = weight((k + first - centre + 0.5) * (1 / widened));
      sum += row[k];
    }
    for (let k = 0; k < count; k++) {
      const normal = sum === 0 ? row[k] : row[k] / sum;
      weights[i * width + k] = Math.trunc((normal < 0 ? -0.5 : 0.5) + normal * 2 ** precision);
    }
    bounds[2 * i] = first;
    bounds[2 * i + 1] = count;
  }
  return { bounds, weights, width };
}

const half = 1 << (precision - 1);

/** Rows `begin` to `end` of the source, resampled along x. */
function alongX(
  image: Pixels,
  begin: number,
  end: number,
  out: number,
  { bounds, weights, width }: Taps,
): Pixels {
  const { data } = image;
  const result = new Uint8ClampedArray((end - begin) * out * 3);
  let to = 0;
  for (let y = begin; y < end; y++) {
    for (let x = 0; x < out; x++) {
      let at = (y * image.width + bounds[2 * x]) * 3;
      let r = half;
      let g = half;
      let b = half;
      const last = x * width + bounds[2 * x + 1];
      for (let k = x * width; k < last; k++, at += 3) {
        const w = weights[k];
        r += data[at] * w;
        g += data[at + 1] * w;
        b += data[at + 2] * w;
      }
      result[to++] = r >> precision;
      result[to++] = g >> precision;
      result[to++] = b >> precision;
    }
  }
  return { width: out, height: end - begin, data: new Uint8Array(result.buffer) };
}

/** All columns resampled along y; the picture begins with row `begin` of the source that `taps` speak of. */
function alongY(image: Pixels, begin: number, out: number, { bounds, weights, width }: Taps): Pixels {
  const stride = image.width * 3;
  const result = new Uint8ClampedArray(out * stride);
  const sums = new Float64Array(stride);
  for (let y = 0; y < out; y++) {
    sums.fill(half);
    for (let k = 0; k < bounds[2 * y + 1]; k++) {
      const w = weights[y * width + k];
      const from = (bounds[2 * y] + k - begin) * stride;
      for (let x = 0; x < stride; x++) sums[x] += image.data[from + x] * w;
    }
    for (let x = 0; x < stride; x++) result[y * stride + x] = sums[x] >> precision;
  }
  return { width: image.width, height: out, data: new Uint8Array(result.buffer) };
}

/** Source index of each output index. The position is summed up step by step, as Pillow does: it decides ties. */
function nearestIndices(from: number, to: number, size: number, out: number): Int32Array {
  const step = (to - from) / out;
  let position = from + step * 0.5;
  return Int32Array.from({ length: out }, () => {
    const index = Math.min(size - 1, Math.trunc(position));
    position += step;
    return index;
  });
}

function nearest(image: Pixels, width: number, height: number, box: Box): Pixels {
  const data = new Uint8Array(width * height * 3);
  const columns = nearestIndices(box.left, box.right, image.width, width);
  const rows = nearestIndices(box.top, box.bottom, image.height, height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const from = (rows[y] * image.width + columns[x]) * 3;
      for (let c = 0; c < 3; c++) data[to + c] = image.data[from + c];
    }
  }
  return { width, height, data };
}

/**
 * Resizes to `width` × `height`, bit for bit as Pillow 13's `Image.resize` does on 8-bit pictures: antialiased
 * filters, weights of 22 fraction bits, rounded to 8 bits between the two passes. `box` takes a part of the source.
 */
export function resize(image: Pixels, width: number, height: number, resample: Resample, box?: Box): Pixels {
  const part = box ?? { left: 0, top: 0, right: image.width, bottom: image.height };
  const sameX = width === image.width && part.left === 0 && part.right === image.width;
  const sameY = height === image.height && part.top === 0 && part.bottom === image.height;
  if (sameX && sameY) return image;
  if (resample === Resample.nearest) return nearest(image, width, height, part);
  const rows = taps(part.top, part.bottom, image.height, height, resample);
  if (sameX) return alongY(image, 0, height, rows);
  const columns = taps(part.left, part.right, image.width, width, resample);
  if (sameY) return alongX(image, 0, image.height, width, columns);
  // Pillow 13 takes the columns first where that loses many more rows; the rounding between shows which was first.
  const dropped = image.height - height;
  if (dropped > 0 && dropped > 2 * (image.width - width)) {
    return alongX(alongY(image, 0, height, rows), 0, height, width, columns);
  }
  // Only rows that the second pass reads are made in the first.
  const begin = rows.bounds[0];
  const end = rows.bounds[2 * height - 2] + rows.bounds[2 * height - 1];
  return alongY(alongX(image, begin, end, width, columns), begin, height, rows);
}

/** The whole-pixel part of a picture from (left, top); what lies outside the picture is black. */
export function crop(image: Pixels, left: number, top: number, width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  const x0 = Math.max(0, -left);
  const x1 = Math.min(width, image.width - left);
  for (let y = Math.max(0, -top); y < Math.min(height, image.height - top) && x1 > x0; y++) {
    const from = ((y + top) * image.width + left + x0) * 3;
    data.set(image.data.subarray(from, from + (x1 - x0) * 3), (y * width + x0) * 3);
  }
  return { width, height, data };
}

/**
 * The centre of a picture, as transformers' `center_crop` places it; a picture that is smaller is padded with black.
 * Rounding is down where the picture is larger, and where it is smaller the padding before is the larger half.
 */
export function centreCrop(image: Pixels, width: number, height: number): Pixels {
  return crop(
    image,
    Math.floor((image.width - width) / 2),
    Math.floor((image.height - height) / 2),
    width,
    height,
  );
}
