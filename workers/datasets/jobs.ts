import type { JsonObject } from '../../models/checkpoints/folder.ts';
import type { AugmentSettings } from '../../models/data/augment.ts';

/** What data workers do: the contract between `pool.ts` and `data.worker.ts`. */
export interface SampleWorker {
  /** Decodes a picture or a sound to see that it can be, and makes its thumbnail. */
  inspect(bytes: Uint8Array, path: string): Promise<Inspected>;
  /**
   * Decodes and prepares for a model. Pictures: a view where one is asked for, f32 [3, side, side]. Sounds: f32 features
   * as `soundFeatures` gives them.
   */
  load(bytes: Uint8Array, path: string, want: Wanted): Promise<Float32Array>;
}

export interface Inspected {
  /** The sample's own bytes, back again. */
  readonly bytes: Uint8Array;
  /** How long a sound lasts. */
  readonly seconds?: number;
  /** A small WebP, PNG or JPEG: the picture, or the sound's spectrogram. */
  readonly thumbnail: Uint8Array;
}

export type Wanted = WantedPicture | WantedSound;

/** Features as a model of sounds takes them. */
export interface WantedSound {
  readonly kind: 'audio';
  /** `preprocessor_config.json` of the backbone. */
  readonly preprocessor: JsonObject;
  readonly frames: number;
}

/** Pixels as a model takes them. */
export interface WantedPicture {
  readonly kind: 'image';
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

/** Longest side of a thumbnail in pixels; a spectrogram has it both ways, as the wall's places are square. */
export const thumbnailSide = 96;

/** What data sets ask of the pool. A sample is read when its turn comes, and again if the worker with it dies. */
export interface Pool {
  readonly size: number;
  inspect(read: () => Promise<Uint8Array>, path: string): Promise<Inspected>;
  load(read: () => Promise<Uint8Array>, path: string, want: Wanted): Promise<Float32Array>;
}
