import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hash32, hashText, uniform } from '../../models/data/hash.ts';
import { spokenOf } from '../../models/data/text/conversation.ts';
import { type Row, readTextTable } from '../../models/data/text/table.ts';
import { guessColumns, textsOf, wordsOf } from '../../models/data/text/texts.ts';
import { TextTokenizer, type TokenizerFiles } from '../../models/data/text/tokenizer.ts';
import { readConll, readTaggedRows, type TaggedTexts } from '../../models/data/text/words.ts';
import type { Model } from '../../models/model.ts';
import { type Task, tasks } from '../../models/tasks/index.ts';
import { type LanguageContent, LanguageDataset, type LanguageRow } from '../../workers/datasets/language.ts';
import { UsageError } from './args.ts';
import { fileEntry } from './samples.ts';

/** The task of that id; classification where none is named. */
export function taskNamed(id: string | undefined): Task {
  const task = id === undefined ? tasks[0] : tasks.find((t) => t.id === id);
  if (!task)
    throw new UsageError(`There is no task '${id}'. There are: ${tasks.map((t) => t.id).join(', ')}.`);
  return task;
}

/** The tokenizer in a folder of Hugging Face's. */
export async function tokenizerIn(folder: string): Promise<TextTokenizer> {
  const text = async (name: string) => {
    const path = join(folder, name);
    return (await stat(path).catch(() => null)) ? readFile(path, 'utf8') : undefined;
  };
  const json = async (name: string) => {
    const found = await text(name);
    return found === undefined ? undefined : JSON.parse(found);
  };
  const files: TokenizerFiles = {
    tokenizer: await json('tokenizer.json'),
    config: await json('tokenizer_config.json'),
    vocabulary: await text('vocab.txt'),
    special: await json('special_tokens_map.json'),
  };
  return new TextTokenizer(files);
}

export interface LanguageFile {
  data: string;
  task: Task;
  model: Model;
  tokenizer: TextTokenizer;
  /** Tokens of a sample. */
  size: number;
  textColumn?: string;
  /** Shares of the rows that are held out, drawn by `seed`. */
  split: { val: number; test: number; seed: number };
}

/** The rows of one file as samples of a language task. Throws `DataError` or `UsageError`. */
export async function openLanguage(file: LanguageFile): Promise<LanguageDataset> {
  const { data, task, model, tokenizer, size, split } = file;
  const { contents, classes } = await contentsOf(file);
  const name = basename(data);
  const rows = contents.map((content, i): LanguageRow => {
    const drawn = uniform(hash32(split.seed, hashText(`row ${i}`)), 0);
    const part = drawn < split.test ? 'test' : drawn < split.test + split.val ? 'val' : 'train';
    return { path: `${name}, row ${i + 1}`, split: part, content };
  });
  const { backbone, config } = model;
  return new LanguageDataset(rows, {
    task: task.id,
    tokenizer,
    inputs: model.sampleInputs(size).map((i) => i.name),
    size,
    classes,
    decoderStart: backbone.decoderStart?.(config),
  });
}

/** What the file holds, read as the page reads it; what was left out is told. */
async function contentsOf({
  data,
  task,
  textColumn,
}: LanguageFile): Promise<{ contents: LanguageContent[]; classes?: string[] }> {
  const tags = task.id === 'token-classification';
  const table = /\.(csv|tsv|jsonl?|ndjson|parquet)$/i.test(data);
  if (!table) {
    const text = await readFile(data, 'utf8');
    if (tags) return taggedContents(readConll(text, data));
    // Paragraphs are rows, so that some can be held out.
    return { contents: text.split(/\n\s*\n/).flatMap((t) => (t.trim() ? [{ text: t.trim() }] : [])) };
  }
  const read = await readTextTable(await fileEntry(data, basename(data)));
  if (tags)
    return taggedContents(
      readTaggedRows(
        read.rows.map((row) => objectOf(read.columns, row)),
        data,
      ),
    );
  const guess = guessColumns(read);
  const columns = textColumn === undefined ? guess : { text: textColumn, pair: null };
  const id = task.id === 'masked-lm' ? 'masked-lm' : 'causal-lm';
  const found = textsOf([read], { ...columns, label: null, task: id });
  const [first, ...others] = found.rejected;
  if (!found.samples.length)
    throw new UsageError(
      first
        ? `No row of '${data}' could be taken. The first that was left out: ${first.path}: ${first.reason}.`
        : `There is no text in '${data}'. Name its column with --text-column.`,
    );
  if (first)
    process.stderr.write(
      `Left out: ${first.path}: ${first.reason}${others.length ? `; ${others.length} more` : ''}.\n`,
    );
  const contents = await Promise.all(
    found.samples.map(async ({ entry, path }) => spokenOf(wordsOf(await entry.bytes()), path)),
  );
  return { contents };
}

const taggedContents = ({ sentences, classes }: TaggedTexts) => ({
  contents: sentences.map((tagged) => ({ tagged })),
  classes,
});

/** A row of a table whose cells hold lists as JSON. */
const objectOf = (columns: readonly string[], { cells }: Row) =>
  Object.fromEntries(
    columns.map((name, i) => [name, cells[i]?.startsWith('[') ? JSON.parse(cells[i]) : cells[i]]),
  );
