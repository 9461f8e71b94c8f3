import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hash32, hashText, uniform } from '../../models/data/hash.ts';
import { conversationOf } from '../../models/data/text/conversation.ts';
import { readObjects } from '../../models/data/text/objects.ts';
import { TextTokenizer, type TokenizerFiles } from '../../models/data/text/tokenizer.ts';
import { readConll, readTaggedRows } from '../../models/data/text/words.ts';
import type { Model } from '../../models/model.ts';
import { type Task, tasks } from '../../models/tasks/index.ts';
import { type LanguageContent, LanguageDataset, type LanguageRow } from '../../workers/datasets/language.ts';
import { UsageError } from './args.ts';

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
  const { contents, classes } = contentsOf(await readFile(data, 'utf8'), file);
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

function contentsOf(
  text: string,
  { data, task, textColumn = 'text' }: LanguageFile,
): { contents: LanguageContent[]; classes?: string[] } {
  if (task.id === 'token-classification') {
    const tagged = /\.(jsonl?|ndjson)$/i.test(data)
      ? readTaggedRows(readObjects(text, data), data)
      : readConll(text, data);
    return { contents: tagged.sentences.map((s) => ({ tagged: s })), classes: tagged.classes };
  }
  if (/\.(txt|md)$/i.test(data))
    // Paragraphs are rows, so that some can be held out.
    return { contents: text.split(/\n\s*\n/).flatMap((t) => (t.trim() ? [{ text: t.trim() }] : [])) };
  const contents = readObjects(text, data).map((row, i): LanguageContent => {
    const messages = conversationOf(row, `${data}, row ${i + 1}`);
    if (messages) return { messages };
    const found = row[textColumn];
    if (typeof found === 'string') return { text: found };
    throw new UsageError(
      `Row ${i + 1} of ${data} has neither a conversation nor a column '${textColumn}'. Name the column with --text-column; it has: ${Object.keys(row).join(', ')}.`,
    );
  });
  return { contents };
}
