import type { JsonObject } from '../../models/checkpoints/folder.ts';
import type { AugmentSettings } from '../../models/data/augment.ts';

/** What data workers do: the contract between `pool.ts` and `data.worker.ts`. */
export interface PictureWorker {
  /** Decodes a picture to see that it can be, and makes its thumbnail. */
  inspect(bytes: Uint8Array, path: string): Promise<Inspected>;
  /** Decodes, takes a view where one is asked for, and preprocesses: f32 [3, side, side]. */
  load(bytes: Uint8Array, path: string, want: Wanted): Promise<Float32Array>;
}

export interface Inspected {
  /** The picture's own bytes, back again. */
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** A small WebP, PNG or JPEG. */
  readonly thumbnail: Uint8Array;
}

/** Pixels as a model takes them. */
export interface Wanted {
  /** `preprocessor_config.json` of the backbone, made for `side` by `withImageSize`. */
  readonly preprocessor: JsonObject;
  readonly side: number;
  readonly view: ViewWanted | null;
}

/** View `view` of sample `sample` under `seed`; `sample` is its place in `Pictures.samples`. */
export interface ViewWanted {
  readonly settings: AugmentSettings;
  readonly seed: number;
  readonly sample: number;
  readonly view: number;
}

/** Longest side of a thumbnail in pixels. */
export const thumbnailSide = 96;

/** What data sets ask of the pool. A picture is read when its turn comes, and again if the worker with it dies. */
export interface Pool {
  readonly size: number;
  inspect(read: () => Promise<Uint8Array>, path: string): Promise<Inspected>;
  load(read: () => Promise<Uint8Array>, path: string, want: Wanted): Promise<Float32Array>;
}
