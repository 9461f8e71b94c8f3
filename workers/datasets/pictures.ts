import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { type AugmentSettings, defaultAugment } from '../../models/data/augment.ts';
import { withImageSize } from '../../models/data/preprocess.ts';
import type { Augmentation, Dataset, Files, SampleValues } from '../session/ports.ts';
import type { Pool } from './jobs.ts';
import { readPlace } from './packs.ts';
import type { StoredSample } from './record.ts';
import type { Edited } from './view.ts';

/** Pictures of a stored data set at one point of its edits, preprocessed for one backbone. */
export class StoredPictures implements Dataset {
  readonly classes: readonly string[];
  readonly samples: Dataset['samples'];
  readonly hash: string;
  /** Id within the data set of each of `samples`. */
  readonly ids: readonly number[];
  readonly #rows: readonly StoredSample[];
  readonly #files: Files;
  readonly #pool: Pool;
  readonly #preprocessor: JsonObject;
  readonly #augment: AugmentSettings;

  /** `rows` by id; `preprocessor` is the backbone's `preprocessor_config.json`. */
  constructor(
    edited: Edited,
    rows: readonly StoredSample[],
    ports: { files: Files; pool: Pool },
    preprocessor: JsonObject,
    augment: AugmentSettings = defaultAugment,
  ) {
    this.classes = edited.files.classes;
    this.samples = edited.labelled;
    this.hash = edited.hash;
    this.ids = edited.labelled.map(({ id }) => id);
    this.#rows = this.ids.map((id) => rows[id]);
    this.#files = ports.files;
    this.#pool = ports.pool;
    this.#preprocessor = preprocessor;
    this.#augment = augment;
  }

  load(samples: readonly number[], side: number, augmentation: Augmentation | null): Promise<SampleValues[]> {
    const preprocessor = withImageSize(this.#preprocessor, side);
    return Promise.all(
      samples.map(async (sample) => {
        const { photo, path } = this.#rows[sample];
        const view = augmentation && { ...augmentation, sample, settings: this.#augment };
        const read = () => readPlace(this.#files, photo);
        return { pixels: await this.#pool.load(read, path, { preprocessor, side, view }) };
      }),
    );
  }

  /** The thumbnail of one of `samples`. */
  async thumbnail(sample: number): Promise<Blob> {
    return imageBlob(await readPlace(this.#files, this.#rows[sample].thumb));
  }
}

/** Bytes of a picture as a blob of its kind. */
export function imageBlob(bytes: Uint8Array): Blob {
  const type = bytes[0] === 0x89 ? 'image/png' : bytes[0] === 0xff ? 'image/jpeg' : 'image/webp';
  return new Blob([bytes as BlobPart], { type });
}
