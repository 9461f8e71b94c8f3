import { hash32, uniform } from './hash.ts';
import type { Pixels } from './pixels.ts';
import { crop } from './resize.ts';

/** What augmentation may do to a picture. */
export interface AugmentSettings {
  /** Mirrors half of the views left to right. Wrong where left and right matter (letters, signs). */
  readonly flip: boolean;
  /** A view covers at least this share of the picture's area, 0 to 1; 1 crops nothing. */
  readonly minArea: number;
  /** Largest factor by which the crop's ratio of sides departs from the picture's, 1 or more. */
  readonly maxStretch: number;
}

export const defaultAugment: AugmentSettings = { flip: true, minArea: 0.6, maxStretch: 4 / 3 };

/** What one view takes of a picture, in whole pixels. */
export interface View {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly mirrored: boolean;
}

/**
 * View `view` of sample `sample` under `seed`: a pure function of its arguments, so that views may be made in any
 * order and on any worker. The area is uniform between `minArea` and 1, the stretch log-uniform, the place uniform.
 */
export function viewOf(
  width: number,
  height: number,
  settings: AugmentSettings,
  seed: number,
  sample: number,
  view: number,
): View {
  const stream = hash32(hash32(seed, sample), view);
  const area = settings.minArea + (1 - settings.minArea) * uniform(stream, 0);
  const stretch = settings.maxStretch ** (2 * uniform(stream, 1) - 1);
  const side = (length: number, share: number) =>
    Math.max(1, Math.min(length, Math.round(length * Math.sqrt(share))));
  const w = side(width, area * stretch);
  const h = side(height, area / stretch);
  return {
    width: w,
    height: h,
    left: Math.floor(uniform(stream, 2) * (width - w + 1)),
    top: Math.floor(uniform(stream, 3) * (height - h + 1)),
    mirrored: settings.flip && uniform(stream, 4) < 0.5,
  };
}

/** Cuts a view out of a picture; preprocessing then brings it to the model's size. */
export function takeView(image: Pixels, view: View): Pixels {
  const part = crop(image, view.left, view.top, view.width, view.height);
  return view.mirrored ? mirror(part) : part;
}

/** A picture mirrored left to right. */
export function mirror({ width, height, data }: Pixels): Pixels {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      const to = (y * width + width - 1 - x) * 3;
      for (let c = 0; c < 3; c++) out[to + c] = data[from + c];
    }
  }
  return { width, height, data: out };
}
