import type { Pixels } from './pixels.ts';

/** Pictures [count, C, H, W] in -1…1 as 8-bit RGB, one by one; one channel is shown grey, and of more the first three. */
export function picturesOf(
  values: Float32Array,
  [channels, height, width]: readonly [number, number, number],
): Pixels[] {
  const size = channels * height * width;
  const places = height * width;
  return Array.from({ length: values.length / size }, (_, n) => {
    const data = new Uint8Array(3 * places);
    for (let p = 0; p < places; p++)
      for (let c = 0; c < 3; c++) {
        const value = values[n * size + Math.min(c, channels - 1) * places + p];
        data[3 * p + c] = Math.round(Math.min(Math.max((value + 1) * 127.5, 0), 255));
      }
    return { width, height, data };
  });
}

export interface SheetOptions {
  columns: number;
  /** Pixels a pixel becomes. */
  zoom?: number;
  /** White pixels between pictures. */
  gap?: number;
}

/** Pictures of one size in rows on white. */
export function contactSheet(
  pictures: readonly Pixels[],
  { columns, zoom = 1, gap = 2 }: SheetOptions,
): Pixels {
  const [w, h] = [pictures[0].width * zoom, pictures[0].height * zoom];
  const rows = Math.ceil(pictures.length / columns);
  const [width, height] = [columns * (w + gap) - gap, rows * (h + gap) - gap];
  const data = new Uint8Array(3 * width * height).fill(255);
  pictures.forEach((picture, n) => {
    const [left, top] = [(n % columns) * (w + gap), Math.floor(n / columns) * (h + gap)];
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) {
        const from = 3 * (Math.floor(y / zoom) * picture.width + Math.floor(x / zoom));
        data.set(picture.data.subarray(from, from + 3), 3 * ((top + y) * width + left + x));
      }
  });
  return { width, height, data };
}
