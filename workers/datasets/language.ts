import { DataError } from '../../models/data/errors.ts';
import { hash32, hashText } from '../../models/data/hash.ts';
import { Chat } from '../../models/data/text/chat.ts';
import { type Message, spokenOf } from '../../models/data/text/conversation.ts';
import { hideTokens } from '../../models/data/text/masking.ts';
import type { Words } from '../../models/data/text/texts.ts';
import type { TextTokenizer } from '../../models/data/text/tokenizer.ts';
import { type Tagged, tokensOfWords } from '../../models/data/text/words.ts';
import type { Model } from '../../models/model.ts';
import type { Task } from '../../models/tasks/index.ts';
import type { Split } from '../protocol.ts';
import type { Augmentation, Dataset, SampleRecord, SampleValues } from '../session/ports.ts';

/** What is read of one row: running text, a conversation, or words with tags. */
export type LanguageContent =
  | { readonly text: string }
  | { readonly messages: readonly Message[] }
  | { readonly tagged: Tagged };

export interface LanguageRow {
  /** Names the row for a person, e.g. `data.jsonl, row 3`. */
  readonly path: string;
  readonly split: Split;
  readonly content: LanguageContent;
}

/** How a model spells texts for a task. */
export interface Spelling {
  task: Task['id'];
  tokenizer: TextTokenizer;
  /** Names of the backbone's inputs. */
  inputs: readonly string[];
  /** Tokens of a sample. */
  size: number;
  /** Token that a decoder beside an encoder begins with. */
  decoderStart?: number;
}

export interface LanguageOptions extends Spelling {
  /** Names of tags, for token classification. */
  classes?: readonly string[];
}

/** Tokens of one sample with what is to be said at each. */
export interface Spelt {
  ids: readonly number[];
  /** For a decoder beside an encoder: what it has read at each place. */
  decoder?: readonly number[];
  targets: readonly number[];
  counted: readonly number[];
}

/** How a backbone reads texts for a language task. */
export interface LanguageReader {
  readonly tokenizer: TextTokenizer;
  readonly model: Model;
  readonly task: LanguageTask;
}

export type LanguageTask = 'causal-lm' | 'masked-lm';

export const spellingOf = ({ tokenizer, model, task }: LanguageReader, size: number): Spelling => ({
  task,
  tokenizer,
  inputs: model.sampleInputs(size).map(({ name }) => name),
  size,
  decoderStart: model.backbone.decoderStart?.(model.config),
});

/** The first piece of a stored text: what does not fit is left out. */
export function speltText(spelling: Spelling, words: Words, path: string): Spelt {
  const pieces = speller(spelling)({ path, split: 'train', content: spokenOf(words, path) });
  // A text of one token is followed by nothing.
  return pieces[0] ?? { ids: [], targets: [], counted: [] };
}

/**
 * Rows of text as samples whose every token has a target: the next token, a hidden one, or a tag. Running text is cut
 * into pieces of the sample's length; a conversation that is longer is cut off at its end.
 */
export class LanguageDataset implements Dataset {
  readonly classes: readonly string[];
  readonly samples: Dataset['samples'];
  readonly hash: string;
  readonly #spelt: readonly Spelt[];
  readonly #options: LanguageOptions;

  /** Throws `DataError` naming the row that cannot be read. */
  constructor(rows: readonly LanguageRow[], options: LanguageOptions) {
    this.#options = options;
    this.classes = options.classes ?? [];
    const spell = speller(options);
    const pieces = rows.flatMap((row) =>
      spell(row).map((spelt, i) => ({ path: i ? `${row.path}, piece ${i + 1}` : row.path, row, spelt })),
    );
    this.samples = pieces.map(({ path, row }) => ({ path, label: 0, split: row.split }));
    this.#spelt = pieces.map((p) => p.spelt);
    const text = pieces.map((p) => `${p.row.split}\t${JSON.stringify(p.spelt)}`).join('\n');
    this.hash = [hashText(text), hashText(`${text}#`)].map((h) => h.toString(16).padStart(8, '0')).join('');
  }

  async load(
    samples: readonly number[],
    size: number,
    augmentation: Augmentation | null,
  ): Promise<SampleValues[]> {
    if (size !== this.#options.size) throw new Error(`The texts were cut for ${this.#options.size} tokens.`);
    return samples.map((sample) => spelledValues(this.#spelt[sample], this.#options, sample, augmentation));
  }

  async record(sample: number): Promise<SampleRecord> {
    return recordOf(this.#spelt[sample], this.#options, sample);
  }
}

/** A spelt sample as the model's inputs and the task's targets. What a masked model guesses is drawn by view and seed. */
export function spelledValues(
  spelt: Spelt,
  spelling: Spelling,
  sample: number,
  augmentation: Augmentation | null,
): SampleValues {
  const { task, tokenizer, inputs, size } = spelling;
  const { ids, decoder, targets, counted } = spelt;
  const padding = tokenizer.padding;
  let read: Uint32Array = padded(Uint32Array, ids, size, padding);
  let wanted: Uint32Array = padded(Uint32Array, targets, size, 0);
  let counts: Float32Array = padded(Float32Array, counted, size, 0);
  const mask = new Float32Array(size).fill(1, 0, Math.min(size, ids.length));
  if (task === 'masked-lm') {
    const stream = hash32(hash32(augmentation?.seed ?? 0, sample), augmentation?.view ?? 0);
    const token = tokenizer.special('mask_token');
    const masked = hideTokens(read, mask, {
      mask: tokenizer.idOf(token ?? '')!,
      vocabulary: tokenizer.size,
      special: tokenizer.specialIds,
      stream,
    });
    [read, wanted, counts] = [masked.ids, masked.targets, masked.counted];
  }
  const values: Record<string, Float32Array | Uint32Array> = {
    ids: read,
    mask,
    targets: wanted,
    counted: counts,
  };
  if (inputs.includes('types')) values.types = new Uint32Array(size);
  if (inputs.includes('decoder_ids')) values.decoder_ids = padded(Uint32Array, decoder ?? [], size, padding);
  return values;
}

/** A spelt sample for a run elsewhere: what is hidden of it is drawn here, and goes along as it is. */
export function recordOf(spelt: Spelt, spelling: Spelling, sample: number): SampleRecord {
  const { task, size } = spelling;
  if (task !== 'masked-lm') return spelt;
  const { ids, mask, targets, counted } = spelledValues(spelt, spelling, sample, null);
  const padding = (mask as Float32Array).indexOf(0);
  const cut = (values: Float32Array | Uint32Array) => [...values.subarray(0, padding < 0 ? size : padding)];
  return { ids: cut(ids), targets: cut(targets), counted: cut(counted) };
}

/** How a task spells rows of a model's kind. Throws `DataError` where it cannot spell any. */
export function speller(options: Spelling): (row: LanguageRow) => Spelt[] {
  const { task, tokenizer, inputs, size, decoderStart } = options;
  if (task === 'token-classification') return (row) => [tagged(row, tokenizer, size)];
  if (task === 'masked-lm') {
    if (tokenizer.idOf(tokenizer.special('mask_token') ?? '') === undefined)
      throw new DataError(
        'tokenizer_config.json',
        'it names no mask_token, so no token can be hidden; choose a backbone such as BERT, or causal-lm',
      );
    return (row) =>
      pieces(tokenizer.framed(textOf(row)), size).map((ids) => ({ ids, targets: ids, counted: [] }));
  }
  if (inputs.includes('decoder_ids')) return (row) => [answered(row, tokenizer, size, decoderStart ?? 0)];
  let chat: Chat | undefined;
  return (row) => {
    if ('messages' in row.content) {
      chat ??= new Chat(tokenizer);
      const { ids, learnt } = chat.marked(row.content.messages);
      return [following(ids, learnt, size, row.path)];
    }
    const end = tokenizer.idOf(tokenizer.special('eos_token') ?? '');
    const ids = [...tokenizer.framed(textOf(row)), ...(end === undefined ? [] : [end])];
    return pieces(ids, size + 1)
      .filter((piece) => piece.length > 1)
      .map((piece) =>
        following(
          piece,
          piece.map(() => 1),
          size,
          row.path,
        ),
      );
  };
}

/** Each token is followed by the next; those that are learnt count where they are to be said. */
function following(ids: readonly number[], learnt: readonly number[], size: number, path: string): Spelt {
  const counted = learnt.slice(1, size + 1);
  if (!counted.some(Boolean))
    throw new DataError(path, `its first ${size} tokens hold nothing to learn; choose a larger text length`);
  return { ids: ids.slice(0, Math.min(size, ids.length - 1)), targets: ids.slice(1, size + 1), counted };
}

function tagged({ content, path }: LanguageRow, tokenizer: TextTokenizer, size: number): Spelt {
  if (!('tagged' in content)) throw new DataError(path, 'it has no tags; give every word one');
  const [before, after] = tokenizer.frame;
  const { ids, targets, counted } = tokensOfWords(content.tagged, tokenizer);
  const room = size - before.length - after.length;
  const zeros = (list: readonly number[]) => list.map(() => 0);
  return {
    ids: [...before, ...ids.slice(0, room), ...after],
    targets: [...zeros(before), ...targets.slice(0, room), ...zeros(after)],
    counted: [...zeros(before), ...counted.slice(0, room), ...zeros(after)],
  };
}

/** A question for the encoder and its answer for the decoder (as T5 and BART are trained). */
function answered(
  { content, path }: LanguageRow,
  tokenizer: TextTokenizer,
  size: number,
  start: number,
): Spelt {
  if (!('messages' in content))
    throw new DataError(
      path,
      'an encoder with a decoder needs a question and an answer: instruction and output, or prompt and completion',
    );
  const at = content.messages.findIndex((m) => m.role === 'assistant');
  const question = content.messages
    .slice(0, at)
    .map((m) => m.content)
    .join('\n\n');
  const { ids, length } = tokenizer.encode(question, null, size);
  const answer = tokenizer.encode(content.messages[at].content, null, size);
  const targets = [...answer.ids.subarray(0, answer.length)];
  return {
    ids: [...ids.subarray(0, length)],
    decoder: [start, ...targets.slice(0, -1)],
    targets,
    counted: targets.map(() => 1),
  };
}

function textOf({ content, path }: LanguageRow): string {
  if ('text' in content) return content.text;
  if ('messages' in content) return content.messages.map((m) => m.content).join('\n\n');
  throw new DataError(path, 'it has words with tags; choose token-classification for it');
}

function pieces(ids: readonly number[], size: number): number[][] {
  const result: number[][] = [];
  for (let from = 0; from < ids.length; from += size) result.push(ids.slice(from, from + size));
  return result;
}

function padded<A extends Uint32Array | Float32Array>(
  kind: { new (length: number): A },
  values: readonly number[],
  size: number,
  padding: number,
): A {
  const row = new kind(size);
  row.fill(padding);
  row.set(values.slice(0, size));
  return row;
}
