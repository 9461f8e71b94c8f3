import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { framesPerSecond } from '../../models/data/audio/features.ts';
import { type AugmentSettings, defaultAugment } from '../../models/data/augment.ts';
import { withImageSize } from '../../models/data/preprocess.ts';
import { type Words, wordsOf } from '../../models/data/text/texts.ts';
import type { TextTokenizer } from '../../models/data/text/tokenizer.ts';
import type { Model } from '../../models/model.ts';
import type { Task } from '../../models/tasks/index.ts';
import type { Augmentation, Dataset, Files, SampleRecord, SampleValues } from '../session/ports.ts';
import type { Pool, ViewWanted, Wanted, WantedPicture, WantedSound } from './jobs.ts';
import {
  type LanguageTask,
  recordOf,
  type Spelling,
  type Spelt,
  spelledValues,
  spellingOf,
  speltText,
} from './language.ts';
import { readPlace } from './packs.ts';
import type { StoredSample } from './record.ts';
import { readText } from './texts.ts';
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

  async record(sample: number, _size: number): Promise<SampleRecord> {
    return { sha256: this.#rows[sample].hash };
  }

  /** What a person sees of one of `samples`: its thumbnail, or its words. */
  look(sample: number): Promise<Look> {
    return lookAtRow(this.#ports.files, this.#rows[sample]);
  }

  /** The words of one of `samples` of a data set of texts. */
  protected async wordsOf(sample: number): Promise<Words> {
    return wordsOf(await readPlace(this.#ports.files, this.#rows[sample].photo));
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

/** Texts as tokens of one backbone: `ids`, `mask` and what else it reads. */
class StoredTexts extends StoredSamples {
  readonly #backbone: Reading;

  constructor(edited: Edited, rows: readonly StoredSample[], ports: Ports, backbone: Reading) {
    super(edited, rows, ports);
    this.#backbone = backbone;
  }

  override async record(sample: number): Promise<SampleRecord> {
    const { text, pair } = await this.wordsOf(sample);
    return pair === null ? { text } : { text, pair };
  }

  async load(samples: readonly number[], size: number): Promise<SampleValues[]> {
    const reader = { tokenizer: await this.#backbone.tokenizer(), model: this.#backbone.model };
    return Promise.all(samples.map(async (sample) => readText(reader, await this.wordsOf(sample), size)));
  }
}

/** Texts whose every token is answered: what is read of a row, and what is to be said at each place. */
class StoredLanguage extends StoredSamples {
  readonly #backbone: Reading;
  readonly #task: LanguageTask;

  constructor(
    edited: Edited,
    rows: readonly StoredSample[],
    ports: Ports,
    backbone: Reading,
    task: LanguageTask,
  ) {
    super(edited, rows, ports);
    this.#backbone = backbone;
    this.#task = task;
  }

  /** No classes are told apart. */
  override readonly classes: readonly string[] = [];

  async load(
    samples: readonly number[],
    size: number,
    augmentation: Augmentation | null,
  ): Promise<SampleValues[]> {
    const spelling = await this.#spelling(size);
    return Promise.all(
      samples.map(async (sample) =>
        spelledValues(await this.#spelt(sample, spelling), spelling, sample, augmentation),
      ),
    );
  }

  override async record(sample: number, size: number): Promise<SampleRecord> {
    const spelling = await this.#spelling(size);
    return recordOf(await this.#spelt(sample, spelling), spelling, sample);
  }

  async #spelt(sample: number, spelling: Spelling): Promise<Spelt> {
    return speltText(spelling, await this.wordsOf(sample), this.samples[sample].path);
  }

  async #spelling(size: number): Promise<Spelling> {
    const { model } = this.#backbone;
    return spellingOf({ model, tokenizer: await this.#backbone.tokenizer(), task: this.#task }, size);
  }
}

/** How a backbone reads samples. */
export interface Reading {
  /** `preprocessor_config.json`. */
  readonly preprocessor: JsonObject;
  readonly model: Model;
  tokenizer(): Promise<TextTokenizer>;
}

/** A stored data set as a backbone reads it. */
export function storedSamples(
  edited: Edited,
  rows: readonly StoredSample[],
  ports: Ports,
  backbone: Reading,
  task: Task['id'] = 'classification',
): StoredSamples {
  switch (edited.files.kind) {
    case 'image':
      return new StoredPictures(edited, rows, ports, backbone.preprocessor);
    case 'audio':
      return new StoredSounds(edited, rows, ports, backbone.preprocessor);
    case 'text':
      return task === 'causal-lm' || task === 'masked-lm'
        ? new StoredLanguage(edited, rows, ports, backbone, task)
        : new StoredTexts(edited, rows, ports, backbone);
  }
}

/** What a person sees of a sample; the picture is empty for a text. */
export interface Look {
  readonly image: Blob;
  readonly words: Words | null;
}

export async function lookAtRow(files: Files, { photo, thumb }: StoredSample): Promise<Look> {
  if (thumb) return { image: imageBlob(await readPlace(files, thumb)), words: null };
  return { image: new Blob(), words: wordsOf(await readPlace(files, photo)) };
}

/** Bytes of a picture as a blob of its kind. */
export function imageBlob(bytes: Uint8Array): Blob {
  const type = bytes[0] === 0x89 ? 'image/png' : bytes[0] === 0xff ? 'image/jpeg' : 'image/webp';
  return new Blob([bytes as BlobPart], { type });
}
