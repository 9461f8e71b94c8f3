import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { LabelledFiles } from '../../models/data/folder.ts';
import { digestText } from '../../models/data/hash.ts';
import { divide, type SplitSettings } from '../../models/data/split.ts';
import type { Split } from '../../models/data/tables.ts';
import { mayBeTexts, readTextTable } from '../../models/data/text/table.ts';
import { guessColumns, textsOf, textsOfFolder, type Words, wordsOf } from '../../models/data/text/texts.ts';
import { lengthFor, readText, type TextReader } from '../../workers/datasets/texts.ts';
import type { Dataset, SampleValues } from '../../workers/session/ports.ts';
import { UsageError } from './args.ts';
import { entriesOf, fileEntry } from './samples.ts';

/** Columns that the command line names. */
export interface NamedColumns {
  'text-column'?: string;
  'pair-column'?: string;
  'label-column'?: string;
}

/** Texts of a table, or of a folder with a text a file, read by one backbone. */
export class FileTexts implements Dataset {
  readonly classes: readonly string[];
  readonly samples: Dataset['samples'];
  readonly hash: string;

  private constructor(
    /** Files that were left out, with reasons, and what was understood. */
    readonly account: Pick<LabelledFiles, 'rejected' | 'notes'>,
    classes: readonly string[],
    samples: readonly { path: string; label: number; split: Split }[],
    readonly words: readonly Words[],
    private readonly reader: TextReader,
  ) {
    this.classes = classes;
    this.samples = samples;
    this.hash = digestText(JSON.stringify([classes, samples.map((s) => [s.label, s.split]), words]));
  }

  /** Labelled texts. Throws `DataError` and `UsageError`. */
  static async open(
    path: string,
    columns: NamedColumns,
    split: SplitSettings,
    reader: TextReader,
  ): Promise<FileTexts> {
    const found = await read(path, columns, true);
    const division = divide(found, split);
    const places = (['train', 'val', 'test'] as const).flatMap((part) =>
      division[part].map((at) => ({ at, part })),
    );
    places.sort((a, b) => a.at - b.at);
    const words = await wordsAt(
      found,
      places.map(({ at }) => at),
    );
    const samples = places.map(({ at, part }) => {
      const { path: row, label } = found.samples[at];
      return { path: row, label, split: part };
    });
    return new FileTexts(found, found.classes, samples, words, reader);
  }

  /** Every text, for a model with classes of its own. */
  static async unlabelled(
    path: string,
    columns: NamedColumns,
    classes: readonly string[],
    reader: TextReader,
  ): Promise<FileTexts> {
    const found = await read(path, columns, false);
    const words = await wordsAt(found, [...found.samples.keys()]);
    const samples = found.samples.map(({ path: row }) => ({ path: row, label: 0, split: 'test' as const }));
    return new FileTexts(found, classes, samples, words, reader);
  }

  /** Tokens that nineteen of twenty texts fit into. */
  length(): Promise<number> {
    const { tokenizer, model } = this.reader;
    const most = model.backbone.size(model.config).max;
    return lengthFor(most, this.words.length, async (i) => {
      const { text, pair } = this.words[i];
      return tokenizer.count(text, pair);
    });
  }

  async load(samples: readonly number[], size: number): Promise<SampleValues[]> {
    return samples.map((i) => readText(this.reader, this.words[i], size));
  }
}

const wordsAt = (found: LabelledFiles, places: readonly number[]) =>
  Promise.all(places.map(async (at) => wordsOf(await found.samples[at].entry.bytes())));

async function read(path: string, columns: NamedColumns, labelled: boolean): Promise<LabelledFiles> {
  const found = await filesOf(path, columns, labelled);
  if (!found.samples.length) {
    const why = found.rejected[0]
      ? ` The first that was left out: ${found.rejected[0].path}: ${found.rejected[0].reason}.`
      : '';
    throw new UsageError(`There is no text in '${path}'.${why}`);
  }
  if (labelled && found.samples.every(({ label }) => label < 0))
    throw new UsageError(`No text of '${path}' has a label. Name the column with --label-column.`);
  return found;
}

async function filesOf(path: string, columns: NamedColumns, labelled: boolean): Promise<LabelledFiles> {
  const info = await stat(path).catch(() => {
    throw new UsageError(`There is nothing at '${path}'.`);
  });
  const single = !info.isDirectory() && !path.endsWith('.zip');
  const entries = single ? [await fileEntry(path, basename(path))] : await entriesOf(path);
  const files = entries.filter((entry) => mayBeTexts(entry.path)).sort((a, b) => (a.path < b.path ? -1 : 1));
  if (!single && files.length && files.every((entry) => entry.path.endsWith('.txt')))
    return textsOfFolder(files.map((entry) => ({ path: entry.path, entry })));
  const tables = await Promise.all((single ? entries : files).map(readTextTable));
  if (!tables.length)
    throw new UsageError(`There is no table in '${path}': no CSV, TSV, JSON, JSONL, TXT or Parquet.`);
  const guess = guessColumns(tables[0]);
  return textsOf(tables, {
    text: columns['text-column'] ?? guess.text,
    pair: columns['pair-column'] ?? (columns['text-column'] === undefined ? guess.pair : null),
    label: labelled ? (columns['label-column'] ?? guess.label) : null,
  });
}
