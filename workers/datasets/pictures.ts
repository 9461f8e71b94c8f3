import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { framesPerSecond } from '../../models/data/audio/features.ts';
import { type AugmentSettings, defaultAugment } from '../../models/data/augment.ts';
import { withImageSize } from '../../models/data/preprocess.ts';
import type { Augmentation, Dataset, Files, SampleRecord, SampleValues } from '../session/ports.ts';
import type { Pool, ViewWanted, Wanted, WantedPicture, WantedSound } from './jobs.ts';
import { readPlace } from './packs.ts';
import type { StoredSample } from './record.ts';
import type { Edited } from './view.ts';

interface Ports {
  readonly files: Files;
  readonly pool: Pool;
}

/** A picture of that side as a backbone with that `preprocessor_config.json` takes it: `pixels`. */
export const wantedPicture = (
  preprocessor: JsonObject,
  side: number,
  view: ViewWanted | null = null,
): WantedPicture => ({ kind: 'image', preprocessor: withImageSize(preprocessor, side), side, view });

/** A sound of that length as a backbone with that `preprocessor_config.json` takes it: `mel`. */
export const wantedSound = (preprocessor: JsonObject, seconds: number): WantedSound => ({
  kind: 'audio',
  preprocessor,
  frames: Math.round(seconds * framesPerSecond),
});

/** Samples of a stored data set at one point of its edits, with their thumbnails. */
abstract class StoredSamples implements Dataset {
  readonly classes: readonly string[];
  readonly samples: Dataset['samples'];
  readonly hash: string;
  /** Id within the data set of each of `samples`. */
  readonly ids: readonly number[];
  readonly #rows: readonly StoredSample[];
  readonly #ports: Ports;

  /** `rows` by id. */
  constructor(edited: Edited, rows: readonly StoredSample[], ports: Ports) {
    this.classes = edited.files.classes;
    this.samples = edited.labelled;
    this.hash = edited.hash;
    this.ids = edited.labelled.map(({ id }) => id);
    this.#rows = this.ids.map((id) => rows[id]);
    this.#ports = ports;
  }

  abstract load(
    samples: readonly number[],
    size: number,
    augmentation: Augmentation | null,
  ): Promise<SampleValues[]>;

  /** What a data worker makes of one of `samples`. */
  protected prepared(sample: number, want: Wanted): Promise<Float32Array> {
    const { photo, path } = this.#rows[sample];
    return this.#ports.pool.load(() => readPlace(this.#ports.files, photo), path, want);
  }

  async record(sample: number): Promise<SampleRecord> {
    return { sha256: this.#rows[sample].hash };
  }

  /** The thumbnail of one of `samples`. */
  async thumbnail(sample: number): Promise<Blob> {
    return imageBlob(await readPlace(this.#ports.files, this.#rows[sample].thumb));
  }
}

export type { StoredSamples };

/** Pictures, preprocessed for one backbone: `pixels`. */
class StoredPictures extends StoredSamples {
  readonly #preprocessor: JsonObject;
  readonly #augment: AugmentSettings;

  constructor(
    edited: Edited,
    rows: readonly StoredSample[],
    ports: Ports,
    preprocessor: JsonObject,
    augment: AugmentSettings = defaultAugment,
  ) {
    super(edited, rows, ports);
    this.#preprocessor = preprocessor;
    this.#augment = augment;
  }

  load(samples: readonly number[], side: number, augmentation: Augmentation | null): Promise<SampleValues[]> {
    return Promise.all(
      samples.map(async (sample) => {
        const view = augmentation && { ...augmentation, sample, settings: this.#augment };
        return { pixels: await this.prepared(sample, wantedPicture(this.#preprocessor, side, view)) };
      }),
    );
  }
}

/** Sounds as features of one backbone: `mel`. */
class StoredSounds extends StoredSamples {
  readonly #preprocessor: JsonObject;

  constructor(edited: Edited, rows: readonly StoredSample[], ports: Ports, preprocessor: JsonObject) {
    super(edited, rows, ports);
    this.#preprocessor = preprocessor;
  }

  load(samples: readonly number[], seconds: number): Promise<SampleValues[]> {
    const want = wantedSound(this.#preprocessor, seconds);
    return Promise.all(samples.map(async (sample) => ({ mel: await this.prepared(sample, want) })));
  }
}

/** A stored data set as a backbone with that `preprocessor_config.json` reads it. */
export function storedSamples(
  edited: Edited,
  rows: readonly StoredSample[],
  ports: Ports,
  preprocessor: JsonObject,
): StoredSamples {
  return edited.files.kind === 'audio'
    ? new StoredSounds(edited, rows, ports, preprocessor)
    : new StoredPictures(edited, rows, ports, preprocessor);
}

/** Bytes of a picture as a blob of its kind. */
export function imageBlob(bytes: Uint8Array): Blob {
  const type = bytes[0] === 0x89 ? 'image/png' : bytes[0] === 0xff ? 'image/jpeg' : 'image/webp';
  return new Blob([bytes as BlobPart], { type });
}
