import Papa from 'papaparse';
import { baseName, type FileEntry, type Rejected, sourceOf } from '../entry.ts';
import { DataError } from '../errors.ts';
import { readParquet } from './parquet.ts';

/** A file of texts as columns and rows; every cell is text, null where a row has none. */
export interface TextTable {
  readonly path: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** Rows that could not be read, each by its line. */
  readonly rejected: readonly Rejected[];
}

export interface Row {
  /** Line of the file; number of the row where a file has no lines. */
  readonly line: number;
  readonly cells: readonly (string | null)[];
}

/** A table above this is not read. */
export const mostBytes = 256 * 2 ** 20;
const mostRows = 1_000_000;
/** Rows that are listed one by one when they cannot be read. */
const mostListed = 50;

/** Whether a file's name says that it may be a table of texts. */
export const mayBeTexts = (path: string): boolean => /\.(csv|tsv|jsonl|ndjson|json|txt|parquet)$/i.test(path);

/**
 * Reads CSV, TSV, JSON (a list of objects, or an object that has one), JSON lines, Parquet, or TXT with a text a line.
 * Throws `DataError` where the whole file cannot be read; single lines that cannot are listed in `rejected`.
 */
export async function readTextTable(entry: FileEntry): Promise<TextTable> {
  const { path } = entry;
  if (entry.size > mostBytes)
    throw new DataError(path, 'it is above the 256 MB that are read as a table; split it into smaller files');
  const kind = /\.([a-z]+)$/i.exec(baseName(path))?.[1].toLowerCase();
  if (kind === 'parquet') return readParquet(sourceOf(entry), path, mostRows);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await entry.bytes());
  } catch {
    throw new DataError(path, 'it is not UTF-8; save it in that encoding');
  }
  const table = readers[kind ?? '']?.(text, path);
  if (!table) throw new DataError(path, 'it is no CSV, TSV, JSON, JSON lines, Parquet or TXT file');
  if (table.rows.length > mostRows)
    throw new DataError(path, `it has more than ${mostRows.toLocaleString('en')} rows; take fewer of them`);
  if (!table.rows.length && !table.rejected.length) throw new DataError(path, 'it is empty');
  return { ...table, rejected: shortened(table.rejected, path) };
}

const readers: Record<string, (text: string, path: string) => TextTable> = {
  csv: (text, path) => delimited(text, path, /^[^,\t\n]*;/.test(text) ? ';' : ''),
  tsv: (text, path) => delimited(text, path, '\t'),
  jsonl: jsonLines,
  ndjson: jsonLines,
  json,
  txt: lines,
};

function shortened(rejected: readonly Rejected[], path: string): readonly Rejected[] {
  if (rejected.length <= mostListed) return rejected;
  const more = rejected.length - mostListed;
  return [...rejected.slice(0, mostListed), { path, reason: `${more} more lines of it could not be read` }];
}

function delimited(text: string, path: string, delimiter: string): TextTable {
  const found: { cells: string[]; line: number }[] = [];
  const rejected: Rejected[] = [];
  let line = 1;
  let at = 0;
  Papa.parse<string[]>(text, {
    delimiter,
    step: ({ data, errors, meta }) => {
      const first = line;
      line += text.slice(at, meta.cursor).split('\n').length - 1;
      at = meta.cursor;
      if (data.every((cell) => cell.trim() === '')) return;
      const quotes = errors.find((e) => e.type === 'Quotes');
      if (quotes)
        rejected.push({ path: `${path} line ${first}`, reason: 'its quotation marks do not close' });
      else found.push({ cells: data, line: first });
    },
  });
  if (!found.length) return { path, columns: [], rows: [], rejected };
  const headed = isHeader(found[0].cells, found[1]?.cells);
  const columns = headed
    ? distinct(found[0].cells.map((name, i) => name.trim() || `column ${i + 1}`))
    : found[0].cells.map((_, i) => `column ${i + 1}`);
  const rows: Row[] = [];
  for (const { cells, line: at } of headed ? found.slice(1) : found) {
    if (cells.length === columns.length) rows.push({ line: at, cells });
    else
      rejected.push({
        path: `${path} line ${at}`,
        reason: `it has ${cells.length} cells, and the table has ${columns.length} columns; put quotation marks around cells with commas`,
      });
  }
  return { path, columns, rows, rejected };
}

const usualNames =
  /^(text|texts|sentence|sentence[_ ]?[12]|content|review|question|question[12]|label|labels|label_text|class|category|intent|id|idx|index|title|premise|hypothesis|target|sentiment|message|body|split|utterance|comment|tweet)$/i;

/** A first line is names where it has a usual one, or is short, without numbers or doubles, above longer cells. */
function isHeader(first: readonly string[], second: readonly string[] | undefined): boolean {
  if (first.some((cell) => usualNames.test(cell.trim()))) return true;
  if (!second || new Set(first).size < first.length) return false;
  return first.every((cell, i) => {
    const name = cell.trim();
    return (
      /^[\p{L}_][\p{L}\p{N}_ .-]{0,30}$/u.test(name) && name.length < Math.max(12, second[i]?.length ?? 0)
    );
  });
}

function distinct(names: readonly string[]): string[] {
  return names.map((name, i) => (names.indexOf(name) === i ? name : `${name} (${i + 1})`));
}

function lines(text: string, path: string): TextTable {
  const rows = text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map((cell, i) => ({ line: i + 1, cells: [cell] }))
    .filter(({ cells: [cell] }) => cell.trim() !== '');
  return { path, columns: ['text'], rows, rejected: [] };
}

function jsonLines(text: string, path: string): TextTable {
  const records: { line: number; record: object }[] = [];
  const rejected: Rejected[] = [];
  text.split('\n').forEach((raw, i) => {
    if (raw.trim() === '') return;
    try {
      records.push({ line: i + 1, record: objectOf(JSON.parse(raw)) });
    } catch (error) {
      rejected.push({
        path: `${path} line ${i + 1}`,
        reason: `it is no JSON object (${(error as Error).message})`,
      });
    }
  });
  return fromRecords(path, records, rejected);
}

function json(text: string, path: string): TextTable {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(path, `it is not valid JSON (${(error as Error).message})`);
  }
  const list = Array.isArray(value) ? value : Object.values(objectOf(value)).find(Array.isArray);
  if (!list) throw new DataError(path, 'it holds no list of rows; write [{"text": …, "label": …}, …]');
  const records: { line: number; record: object }[] = [];
  const rejected: Rejected[] = [];
  list.forEach((row, i) => {
    if (typeof row === 'object' && row !== null && !Array.isArray(row))
      records.push({ line: i + 1, record: row });
    else rejected.push({ path: `${path} row ${i + 1}`, reason: 'it is no JSON object' });
  });
  return fromRecords(path, records, rejected);
}

function objectOf(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new SyntaxError('it is another value');
}

/** A table of objects; its columns are all their keys, in the order met. */
export function fromRecords(
  path: string,
  records: readonly { line: number; record: object }[],
  rejected: readonly Rejected[] = [],
): TextTable {
  const columns = [...new Set(records.flatMap(({ record }) => Object.keys(record)))];
  const rows = records.map(({ line, record }) => {
    const cells = new Map(Object.entries(record));
    return { line, cells: columns.map((name) => cellOf(cells.get(name))) };
  });
  return { path, columns, rows, rejected };
}

function cellOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'object')
    return JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v));
  return String(value);
}
