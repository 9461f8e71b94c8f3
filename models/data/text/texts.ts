import { byCodePoint, bytesEntry, type FileEntry, folderName, normalPath, type Rejected } from '../entry.ts';
import { DataError } from '../errors.ts';
import type { LabelledFiles, Sample } from '../folder.ts';
import { type Split, splitName } from '../tables.ts';
import { spokenOf } from './conversation.ts';
import type { Row, TextTable } from './table.ts';

/** Which columns are read; `pair` where a sample is two texts. */
export interface TextColumns {
  readonly text: string;
  readonly pair: string | null;
  readonly label: string | null;
  /** What is learnt of the texts; classes where it is not said. Without classes no label is read. */
  readonly task?: 'classification' | 'causal-lm' | 'masked-lm';
}

/** One sample: a text, or two of them. */
export interface Words {
  readonly text: string;
  readonly pair: string | null;
}

/** Names of two texts that belong together, the usual ones first. */
const couples = [
  ['sentence1', 'sentence2'],
  ['text1', 'text2'],
  ['question1', 'question2'],
  ['premise', 'hypothesis'],
  ['text', 'text_pair'],
  ['question', 'passage'],
  ['question', 'context'],
  ['query', 'passage'],
  ['question', 'sentence'],
] as const;
const textNames =
  'text texts sentence content review question utterance message body comment tweet document title subject query input'.split(
    ' ',
  );
const labelNames =
  'label_text label_name label labels class category intent target sentiment topic kind type y output'.split(
    ' ',
  );

const plain = (name: string) =>
  name
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_');

/** Columns of instruction data: a conversation, or a question with its answer. */
const dialogues = [
  ['messages', null],
  ['conversations', null],
  ['instruction', 'output'],
  ['prompt', 'completion'],
] as const;

/** Guesses by the columns' names, then by what they hold: long cells are texts, few different ones are labels. */
export function guessColumns({ columns, rows }: TextTable): TextColumns {
  const byName = new Map(columns.map((name) => [plain(name), name]));
  const named = (names: readonly string[]) =>
    names.map((name) => byName.get(name)).find((name) => name !== undefined);
  for (const [text, pair] of dialogues)
    if (byName.has(text) && (pair === null || byName.has(pair)))
      return {
        text: byName.get(text)!,
        pair: pair && byName.get(pair)!,
        label: null,
        task: 'causal-lm',
      };
  const couple = couples.find(([a, b]) => byName.has(a) && byName.has(b));
  const looks = columns.map((name, i) => ({ name, ...lookOf(rows, i) }));
  const longest = looks.reduce((a, b) => (b.length > a.length ? b : a), looks[0]);
  const text = couple ? byName.get(couple[0])! : (named(textNames) ?? longest?.name ?? '');
  const pair = couple ? byName.get(couple[1])! : null;
  const free = looks.filter(({ name }) => name !== text && name !== pair);
  const known = named(labelNames.filter((name) => ![text, pair].includes(byName.get(name) ?? '')));
  const repeating = free
    .filter((c) => c.kinds > 1 && c.kinds * 2 <= c.filled && c.length <= 60 && !splitOnly(c.values))
    .sort((a, b) => a.kinds - b.kinds)[0];
  return { text, pair, label: known ?? repeating?.name ?? null };
}

/** How many cells of a column are filled, how many different ones there are, and their mean length. */
function lookOf(rows: readonly Row[], column: number) {
  const values = new Set<string>();
  let [filled, length] = [0, 0];
  for (const { cells } of rows.slice(0, 2000)) {
    const cell = cells[column];
    if (!cell) continue;
    values.add(cell);
    filled++;
    length += cell.length;
  }
  return { filled, kinds: values.size, length: length / Math.max(1, filled), values };
}

const splitOnly = (values: ReadonlySet<string>) =>
  [...values].every((value) => splitName(value) !== undefined);

/**
 * Labelled texts of tables that share their columns. A column `split`, else a file or folder named train, val or test,
 * gives the split. Rows without a text or, where a label is read, without a label are listed with their line. Throws
 * `DataError` naming a column that is not there.
 */
export function textsOf(tables: readonly TextTable[], columns: TextColumns): LabelledFiles {
  const rejected: Rejected[] = [];
  const found: { path: string; words: Words; label: string | null; split: Split | undefined }[] = [];
  for (const table of tables) {
    const at = (name: string | null) => (name === null ? -1 : columnOf(table, name));
    const [text, pair, label] = [at(columns.text), at(columns.pair), at(labelOf(columns))];
    // What Alpaca's instructions are about stands in a column of its own.
    const given =
      columns.task === 'causal-lm' && plain(columns.text) === 'instruction'
        ? table.columns.findIndex((name) => plain(name) === 'input')
        : -1;
    const split = table.columns.findIndex((name) => plain(name) === 'split');
    const ofFile = splitOfPath(table.path);
    rejected.push(...table.rejected);
    for (const { line, cells } of table.rows) {
      const path = `${table.path} line ${line}`;
      const words = {
        text: [cells[text], given < 0 ? null : cells[given]].flatMap((c) => c?.trim() || []).join('\n\n'),
        pair: pair < 0 ? null : (cells[pair]?.trim() ?? ''),
      };
      const name = label < 0 ? null : (cells[label]?.trim() ?? '');
      if (words.text === '') rejected.push({ path, reason: `its ${columns.text} is empty` });
      else if (name === '') rejected.push({ path, reason: `its ${columns.label} is empty` });
      else if (columns.task === 'causal-lm' && brokenTalk(words, path))
        rejected.push({ path, reason: brokenTalk(words, path)! });
      else
        found.push({
          path,
          words,
          label: name,
          split: (split < 0 ? undefined : splitName(cells[split] ?? '')) ?? ofFile,
        });
    }
  }
  const alone = learnsClasses(columns) ? null : everyText;
  const classes = alone ? [alone] : classesOf(found.flatMap(({ label }) => (label === null ? [] : [label])));
  const index = new Map(classes.map((name, i) => [name, i]));
  const samples: Sample[] = found.map(({ path, words, label: own, split }, id) => {
    const label = alone ?? own;
    const sample = {
      id,
      path,
      entry: wordsEntry(path, words),
      label: label === null ? -1 : index.get(label)!,
    };
    return split ? { ...sample, split } : sample;
  });
  return { kind: 'text', classes, samples, rejected, notes: notesOf(tables, columns, samples, classes) };
}

/** What holds all texts where no classes are learnt. */
const everyText = 'texts';

/** Whether the texts are told apart. */
export const learnsClasses = ({ task = 'classification' }: TextColumns): boolean => task === 'classification';

const labelOf = (columns: TextColumns): string | null => (learnsClasses(columns) ? columns.label : null);

/** Why a row is no conversation to learn from; null where it is one, or running text. */
function brokenTalk(words: Words, path: string): string | null {
  if (words.pair === '') return 'its answer is empty';
  try {
    spokenOf(words, path);
    return null;
  } catch (error) {
    if (error instanceof DataError) return error.reason;
    throw error;
  }
}

function columnOf(table: TextTable, name: string): number {
  const at = table.columns.indexOf(name);
  if (at >= 0) return at;
  const there = table.columns.slice(0, 12).join(', ');
  throw new DataError(table.path, `it has no column “${name}”; there are: ${there || 'none'}`);
}

/** Numbers in their order, names by code point. */
function classesOf(labels: readonly string[]): string[] {
  const names = [...new Set(labels)];
  return names.every((name) => /^-?\d+$/.test(name))
    ? names.sort((a, b) => Number(a) - Number(b))
    : names.sort(byCodePoint);
}

function splitOfPath(path: string): Split | undefined {
  const parts = normalPath(path).split('/');
  const stem = parts.at(-1)!.replace(/\.[^.]+$/, '');
  return (
    splitName(stem) ?? splitName(stem.split(/[-_.]/)[0]) ?? parts.slice(0, -1).map(splitName).find(Boolean)
  );
}

function notesOf(
  tables: readonly TextTable[],
  columns: TextColumns,
  samples: readonly Sample[],
  classes: readonly string[],
): string[] {
  const { text, pair } = columns;
  const label = labelOf(columns);
  const where = tables.length === 1 ? tables[0].path : `${tables.length} files`;
  const second = columns.task === 'causal-lm' ? 'the answer' : 'their second text';
  const read = `Texts from the column “${text}”${pair ? ` with “${pair}” as ${second}` : ''} of ${where}`;
  const rest = label === null ? '; no column was taken for the label.' : `, labels from “${label}”.`;
  const notes = [`${read}${learnsClasses(columns) ? rest : '.'}`];
  if (classes.length > 100 && classes.length * 2 > samples.length)
    notes.push(
      `There are ${classes.length} different labels for ${samples.length} texts; is “${label}” the label?`,
    );
  return notes;
}

/** Texts of a folder, a file each, whose folder is their class; an optional train, val or test above gives the split. */
export async function textsOfFolder(
  files: readonly { path: string; entry: FileEntry }[],
): Promise<LabelledFiles> {
  const rows: { path: string; text: string; label: string | null; split: Split | undefined }[] = [];
  const rejected: Rejected[] = [];
  for (const { path, entry } of files) {
    const text = new TextDecoder().decode(await entry.bytes()).trim();
    const parts = folderName(path).split('/').filter(Boolean);
    const split = parts.map(splitName).find(Boolean);
    const label = parts.filter((part) => !splitName(part)).at(-1) ?? null;
    if (text === '') rejected.push({ path, reason: 'it is empty' });
    else rows.push({ path, text, label, split });
  }
  const classes = classesOf(rows.flatMap(({ label }) => (label === null ? [] : [label])));
  const samples = rows.map(({ path, text, label, split }, id) => {
    const entry = wordsEntry(path, { text, pair: null });
    const sample = { id, path, entry, label: label === null ? -1 : classes.indexOf(label) };
    return split ? { ...sample, split } : sample;
  });
  return { kind: 'text', classes, samples, rejected, notes: ['A text a file; its folder is its class.'] };
}

/** A sample's content as it is stored. */
export const wordsEntry = (path: string, words: Words): FileEntry =>
  bytesEntry(
    path,
    new TextEncoder().encode(JSON.stringify([words.text, ...(words.pair === null ? [] : [words.pair])])),
  );

/** What `wordsEntry` stored. */
export function wordsOf(bytes: Uint8Array): Words {
  const [text, pair = null] = JSON.parse(new TextDecoder().decode(bytes)) as [string, string?];
  return { text, pair };
}

/**
 * A length that nineteen of twenty texts fit into, a multiple of 8 and at most `most`. `counts` are their tokens with
 * the model's frame.
 */
export function fittingLength(counts: readonly number[], most: number): number {
  if (!counts.length) return Math.min(128, most);
  const sorted = [...counts].sort((a, b) => a - b);
  const enough = sorted[Math.min(sorted.length - 1, Math.ceil(0.95 * sorted.length) - 1)];
  return Math.min(most, Math.max(8, Math.ceil(enough / 8) * 8));
}
