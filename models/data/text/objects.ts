import Papa from 'papaparse';
import { DataError } from '../errors.ts';

type Row = Readonly<Record<string, unknown>>;

/**
 * Rows of a file as objects: JSON lines, a JSON list (or an object that holds one), or a table with a header. Throws
 * `DataError` naming the line that cannot be read.
 */
export function readObjects(text: string, path: string): Row[] {
  const plain = text.replace(/^\ufeff/, '');
  if (/\.(jsonl|ndjson)$/i.test(path)) return jsonLines(plain, path);
  if (/\.json$/i.test(path)) return jsonList(plain, path);
  const { data, errors } = Papa.parse<Row>(plain, { header: true, skipEmptyLines: 'greedy' });
  const fault = errors.find((e) => e.code !== 'UndetectableDelimiter');
  if (fault) throw new DataError(path, `row ${(fault.row ?? 0) + 1} cannot be read: ${fault.message}`);
  return data;
}

function jsonLines(text: string, path: string): Row[] {
  return text.split(/\r?\n/).flatMap((line, i) => {
    if (!line.trim()) return [];
    try {
      return [objectOf(JSON.parse(line))];
    } catch (error) {
      throw new DataError(path, `line ${i + 1} is not a JSON object: ${(error as Error).message}`);
    }
  });
}

function jsonList(text: string, path: string): Row[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(path, `it is not JSON: ${(error as Error).message}`);
  }
  const list = Array.isArray(value) ? value : Object.values(value ?? {}).find(Array.isArray);
  if (!list) throw new DataError(path, 'it holds no list of rows');
  return list.map(objectOf);
}

function objectOf(value: unknown): Row {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('a row has to be an object with named fields');
  return value as Row;
}
