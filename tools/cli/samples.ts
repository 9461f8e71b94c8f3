import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { bytesSource } from '../../models/checkpoints/bytes.ts';
import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { decodeMono } from '../../models/data/audio/decode.ts';
import {
  framesPerSecond,
  isSoundExtractor,
  readSoundFeatures,
  soundFeatures,
} from '../../models/data/audio/features.ts';
import { defaultAugment, takeView, viewOf } from '../../models/data/augment.ts';
import { type Decode, makeDecoder } from '../../models/data/decode.ts';
import type { FileEntry } from '../../models/data/entry.ts';
import { type LabelledFiles, readLabelledFolder } from '../../models/data/folder.ts';
import { hash32, hashText } from '../../models/data/hash.ts';
import { nounOf } from '../../models/data/kind.ts';
import { preprocess, readPreprocessing, withImageSize } from '../../models/data/preprocess.ts';
import { divide, type SplitSettings } from '../../models/data/split.ts';
import { readZip } from '../../models/data/zip.ts';
import type { Augmentation, Dataset, SampleRecord, SampleValues } from '../../workers/session/ports.ts';
import { nodeCodecs } from '../codecs/node.ts';
import { UsageError } from './args.ts';

/** Every file below a folder, or the content of a zip, as entries. */
export async function entriesOf(path: string): Promise<FileEntry[]> {
  const info = await stat(path).catch(() => {
    throw new UsageError(`There is nothing at '${path}'.`);
  });
  if (!info.isDirectory()) {
    const zip = await readZip(bytesSource(new Uint8Array(await readFile(path))), path);
    return zip.entries;
  }
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  const files = names.filter((f) => f.isFile()).map((f) => join(f.parentPath, f.name));
  return Promise.all(files.map((f) => fileEntry(f, relative(path, f).split(sep).join('/'))));
}

/** A file on disk as an entry of that path. */
export async function fileEntry(file: string, path: string): Promise<FileEntry> {
  const { size } = await stat(file);
  return { path, size, bytes: async () => new Uint8Array(await readFile(file)) };
}

/** Labelled pictures or sounds of a folder or zip, decoded on demand: the page's own code, without its workers. */
export class FolderSamples implements Dataset {
  readonly classes: readonly string[];
  readonly samples: Dataset['samples'];
  readonly hash: string;

  private constructor(
    private readonly files: LabelledFiles,
    readonly labelled: readonly number[],
    splits: ReadonlyMap<number, 'train' | 'val' | 'test'>,
    private readonly preprocessor: JsonObject,
    private readonly decode: Decode,
  ) {
    this.classes = files.classes;
    this.samples = labelled.map((i) => ({
      path: files.samples[i].path,
      label: files.samples[i].label,
      split: splits.get(i)!,
    }));
    const text = this.samples
      .map((s, j) => `${s.path}\t${s.label}\t${s.split}\t${files.samples[labelled[j]].entry.size}`)
      .join('\n');
    this.hash =
      hash32(hashText(text), hashText(`${text}#`))
        .toString(16)
        .padStart(8, '0') + hashText(text).toString(16).padStart(8, '0');
  }

  /** Throws `UsageError` where it holds nothing, or nothing that a backbone with this preprocessor reads. */
  static async open(path: string, preprocessor: JsonObject, split: SplitSettings): Promise<FolderSamples> {
    const files = await readable(path, preprocessor);
    const division = divide(files, split);
    const splits = new Map<number, 'train' | 'val' | 'test'>();
    for (const name of ['train', 'val', 'test'] as const) for (const i of division[name]) splits.set(i, name);
    const labelled = files.samples.flatMap((s, i) => (s.label >= 0 && splits.has(i) ? [i] : []));
    return new FolderSamples(files, labelled, splits, preprocessor, makeDecoder(await nodeCodecs()));
  }

  /** Every sample below a path, whatever folder it lies in, for an adapter with classes of its own. */
  static async unlabelled(path: string, preprocessor: JsonObject, classes: string[]): Promise<FolderSamples> {
    const files = await readable(path, preprocessor);
    const all = files.samples.map((_, i) => i);
    const samples = files.samples.map((s) => ({ ...s, label: 0 }));
    return new FolderSamples(
      { ...files, classes, samples },
      all,
      new Map(all.map((i) => [i, 'test'])),
      preprocessor,
      makeDecoder(await nodeCodecs()),
    );
  }

  /** Files that were left out, with reasons, and what was understood. */
  get account(): Pick<LabelledFiles, 'rejected' | 'notes'> {
    return this.files;
  }

  async load(
    samples: readonly number[],
    size: number,
    augmentation: Augmentation | null,
  ): Promise<SampleValues[]> {
    const prepare = this.files.kind === 'audio' ? this.hearer(size) : this.seer(size, augmentation);
    const result: SampleValues[] = [];
    for (const sample of samples) {
      const { entry, path } = this.files.samples[this.labelled[sample]];
      result.push(await prepare(await entry.bytes(), path, sample));
    }
    return result;
  }

  async record(sample: number): Promise<SampleRecord> {
    const { entry } = this.files.samples[this.labelled[sample]];
    return {
      sha256: createHash('sha256')
        .update(await entry.bytes())
        .digest('hex'),
    };
  }

  private seer(side: number, augmentation: Augmentation | null): Prepare {
    const steps = readPreprocessing(withImageSize(this.preprocessor, side));
    return async (bytes, path, sample) => {
      const image = await this.decode(bytes, path);
      const seen = augmentation
        ? takeView(
            image,
            viewOf(image.width, image.height, defaultAugment, augmentation.seed, sample, augmentation.view),
          )
        : image;
      return { pixels: preprocess(seen, steps).data };
    };
  }

  private hearer(seconds: number): Prepare {
    const steps = readSoundFeatures(this.preprocessor);
    const frames = Math.round(seconds * framesPerSecond);
    return async (bytes, path) => {
      const { samples } = await decodeMono(bytes, path, steps.rate);
      return { mel: soundFeatures(samples, steps, frames) };
    };
  }
}

type Prepare = (bytes: Uint8Array, path: string, sample: number) => Promise<SampleValues>;

async function readable(path: string, preprocessor: JsonObject): Promise<LabelledFiles> {
  const files = await readLabelledFolder(await entriesOf(path));
  const wanted = isSoundExtractor(preprocessor) ? 'audio' : 'image';
  if (!files.samples.length)
    throw new UsageError(
      `There is no ${nounOf[wanted]} in '${path}'. Give a folder with one folder for each class.`,
    );
  if (files.kind !== wanted)
    throw new UsageError(
      `'${path}' holds ${nounOf[files.kind]}s, and this backbone reads ${nounOf[wanted]}s. Name another with --backbone.`,
    );
  return files;
}
