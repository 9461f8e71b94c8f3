import Papa from 'papaparse';
import { type FileEntry, folderName, type Rejected } from './entry.ts';

/** A split a sample can belong to. */
export type Split = 'train' | 'val' | 'test';

/** One row of a table of labels. */
export interface LabelRow {
  /** The file as the table writes it. */
  readonly file: string;
  /** Undefined where the row has none. */
  readonly label: string | undefined;
  readonly split: Split | undefined;
  /** Line in the table, from 1. */
  readonly line: number;
}

/** A table that names picture files: CSV, TSV or JSON lines. */
export interface LabelTable {
  readonly path: string;
  /** Folder the table lies in; its files are looked up from there. */
  readonly folder: string;
  readonly rows: LabelRow[];
  /** The columns taken, e.g. `file_name` and `label`. */
  readonly fileColumn: string;
  readonly labelColumn: string | undefined;
  readonly rejected: Rejected[];
}

const fileColumns = [
  'file_name',
  'filename',
  'file',
  'filepath',
  'file_path',
  'path',
  'image',
  'image_path',
  'image_name',
  'img',
  'name',
  'id',
];
const labelColumns = ['label', 'labels', 'class', 'class_name', 'category', 'target', 'y'];
const splitColumns = ['split', 'set', 'subset', 'partition'];

/** A table larger than this is not read at once. */
const maxTableBytes = 64 * 2 ** 20;
const maxRows = 2_000_000;

/** `train`, `validation`, `testing` and their like, in any case; undefined for any other name. */
export function splitName(name: string): Split | undefined {
  const lower = name.trim().toLowerCase();
  if (/^(train|training)$/.test(lower)) return 'train';
  if (/^(val|valid|validation|dev)$/.test(lower)) return 'val';
  return /^(test|testing)$/.test(lower) ? 'test' : undefined;
}

/** True where a file's name says that it may be a table of labels. */
export function mayBeTable(path: string): boolean {
  return /\.(csv|tsv|jsonl|ndjson)$/i.test(path);
}

/**
 * Reads a file as a table of labels. `isFile` tells whether a cell names a picture of the drop, which is how a table
 * without header is known. Gives the reason, as text, where it is no such table.
 */
export async function readTable(
  entry: FileEntry,
  isFile: (folder: string, cell: string) => boolean,
): Promise<LabelTable | string> {
  if (entry.size > maxTableBytes) return 'it is above the 64 MB that are read as a table';
  const text = new TextDecoder().decode(await entry.bytes()).replace(/^\ufeff/, '');
  return /\.(jsonl|ndjson)$/i.test(entry.path)
    ? readJsonLines(entry.path, text)
    : readDelimited(entry.path, text, isFile);
}

function pick(names: readonly string[], wanted: readonly string[]): number {
  const normal = names.map((name) =>
    name
      .trim()
      .toLowerCase()
      .replace(/[\s-]+/g, '_'),
  );
  for (const name of wanted) if (normal.includes(name)) return normal.indexOf(name);
  return -1;
}

/** Free text makes a poor class name; it is taken for one where it repeats. */
function textAsLabel(values: (string | undefined)[]): boolean {
  const present = values.filter((value) => value !== undefined && value !== '');
  return present.length > 3 && new Set(present).size * 2 <= present.length;
}

function readDelimited(
  path: string,
  text: string,
  isFile: (folder: string, cell: string) => boolean,
): LabelTable | string {
  const delimiter = /\.tsv$/i.test(path) ? '\t' : '';
  const parsed = Papa.parse<string[]>(text, { delimiter, skipEmptyLines: 'greedy', preview: maxRows + 1 });
  const [first, ...rest] = parsed.data;
  if (!first || parsed.data.length > maxRows)
    return first ? `it has more than ${maxRows} rows` : 'it is an empty table';
  const folder = folderName(path);
  let file = pick(first, fileColumns);
  let label = pick(first, labelColumns);
  const split = pick(first, splitColumns);
  const headless = file < 0 && first.length >= 2 && isFile(folder, first[0]);
  if (headless) {
    file = 0;
    label = 1;
  }
  const rows = headless ? parsed.data : rest;
  if (file < 0)
    return `it has no column of file names (looked for ${fileColumns.slice(0, 4).join(', ')}; found ${first.slice(0, 6).join(', ')})`;
  if (label < 0) {
    const words = pick(first, ['text', 'caption']);
    if (words >= 0 && textAsLabel(rows.map((row) => row[words]))) label = words;
  }
  const name = (column: number) => (headless ? `column ${column + 1}` : first[column].trim());
  return {
    path,
    folder,
    fileColumn: name(file),
    labelColumn: label < 0 ? undefined : name(label),
    rejected: [],
    rows: rows
      .map((row, i) => ({
        file: (row[file] ?? '').trim(),
        label: label < 0 ? undefined : row[label]?.trim() || undefined,
        split: split < 0 ? undefined : splitName(row[split] ?? ''),
        line: i + (headless ? 1 : 2),
      }))
      .filter((row) => row.file !== ''),
  };
}

function scalar(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value).trim() || undefined
    : undefined;
}

function readJsonLines(path: string, text: string): LabelTable | string {
  const rejected: Rejected[] = [];
  const records: { line: number; record: Map<string, unknown> }[] = [];
  text.split('\n').forEach((raw, i) => {
    if (raw.trim() === '') return;
    try {
      const parsed: unknown = JSON.parse(raw);
      if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
        throw new SyntaxError('no object');
      records.push({ line: i + 1, record: new Map(Object.entries(parsed)) });
    } catch (error) {
      rejected.push({
        path: `${path} line ${i + 1}`,
        reason: `it is not a JSON object (${(error as Error).message})`,
      });
    }
  });
  if (records.length > maxRows) return `it has more than ${maxRows} rows`;
  const names = [...new Set(records.flatMap(({ record }) => [...record.keys()]))];
  const file = names[pick(names, fileColumns)];
  if (file === undefined) return 'its lines have no field "file_name"';
  let label = names[pick(names, labelColumns)];
  const words = names[pick(names, ['text', 'caption'])];
  if (
    label === undefined &&
    words !== undefined &&
    textAsLabel(records.map(({ record }) => scalar(record.get(words))))
  )
    label = words;
  const split = names[pick(names, splitColumns)];
  return {
    path,
    folder: folderName(path),
    fileColumn: file,
    labelColumn: label,
    rejected,
    rows: records
      .map(({ line, record }) => ({
        file: scalar(record.get(file)) ?? '',
        label: label === undefined ? undefined : scalar(record.get(label)),
        split: split === undefined ? undefined : splitName(scalar(record.get(split)) ?? ''),
        line,
      }))
      .filter((row) => row.file !== ''),
  };
}
