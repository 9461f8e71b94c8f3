/** A picture as 8-bit RGB, row by row from the top left, three bytes a pixel: [height, width, 3]. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * RGBA to RGB, transparency laid on white: what transformers 5 does before its processors, with the rounding of
 * Pillow's `alpha_composite`. (`convert('RGB')` alone would bring up whatever colour is stored under transparency.)
 */
export function layOnWhite(width: number, height: number, rgba: Uint8Array | Uint8ClampedArray): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    for (let c = 0; c < 3; c++) {
      const value = rgba[from + c];
      data[to + c] = alpha === 255 ? value : blend(value, alpha);
    }
  }
  return { width, height, data };
}

/** value * alpha + white * (255 - alpha), over 255, in 7 further bits. */
function blend(value: number, alpha: number): number {
  const sum = (value * alpha + 255 * (255 - alpha)) * 128 + 0x4000;
  return ((sum >> 8) + sum) >> 15;
}
