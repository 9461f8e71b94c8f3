import { baseName, type FileEntry, isJunk, normalPath } from '../../models/data/entry.ts';
import { DataError } from '../../models/data/errors.ts';
import type { LabelledFiles } from '../../models/data/folder.ts';
import { mayBeTexts, readTextTable, type TextTable } from '../../models/data/text/table.ts';
import { guessColumns, type TextColumns, textsOf, textsOfFolder } from '../../models/data/text/texts.ts';
import type { StoredTable } from './record.ts';

/** Rows of a table that a person is shown. */
const shown = 10;

/** Texts of a drop, and the table that they came from where they are no files of their own. */
export interface FoundTexts {
  readonly found: LabelledFiles;
  readonly table?: StoredTable;
  /** The table's files, to be kept beside the texts. */
  readonly files: readonly FileEntry[];
}

/**
 * Texts of the tables of a drop, or of a folder of text files. Without `chosen` the columns are guessed. Throws
 * `DataError` where a file cannot be read, or its columns are not those that were chosen.
 */
export async function textsIn(entries: readonly FileEntry[], chosen?: TextColumns): Promise<FoundTexts> {
  const files = entries
    .filter(({ path }) => mayBeTexts(path) && !isJunk(normalPath(path)))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  if (files.length > 1 && files.every(({ path }) => path.toLowerCase().endsWith('.txt'))) {
    const within = withoutRoot(files.map(({ path }) => normalPath(path)));
    const found = await textsOfFolder(files.map((entry, i) => ({ path: within[i], entry })));
    return { found, files: [] };
  }
  const tables = await Promise.all(files.map(readTextTable));
  const first = tables[0];
  if (!first) throw new DataError('The drop', 'there is no table in it');
  checkTexts(first);
  const columns = chosen ?? guessColumns(first);
  const table: StoredTable = {
    files: files.map(({ path }) => baseName(path)),
    columns: first.columns,
    chosen: columns,
    rows: first.rows.slice(0, shown).map(({ cells }) => cells),
  };
  const named = tables.map((t) => ({ ...t, path: baseName(t.path) }));
  return { found: textsOf(named, columns), table, files };
}

/** A table that only names files of pictures or sounds has no texts. Throws `DataError`. */
function checkTexts({ columns, path, rows }: TextTable): void {
  const at = columns.findIndex((name) => /^(file_?names?|files?|images?|audio|path)$/i.test(name.trim()));
  const media = /\.(jpe?g|png|webp|gif|wav|mp3|flac|ogg)$/i;
  if (at >= 0 && rows.length && rows.every(({ cells }) => media.test(cells[at] ?? '')))
    throw new DataError(
      path,
      `its column “${columns[at]}” names files that were not dropped with it; drop the whole folder`,
    );
}

/** Paths without the folder that all share. */
function withoutRoot(paths: readonly string[]): string[] {
  const root = paths[0].split('/')[0];
  const shared = paths.every((path) => path.startsWith(`${root}/`) && path.split('/').length > 2);
  return paths.map((path) => (shared ? path.slice(root.length + 1) : path));
}
