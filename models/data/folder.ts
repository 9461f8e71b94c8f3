import {
  baseName,
  byCodePoint,
  type FileEntry,
  folderName,
  headOf,
  isJunk,
  normalPath,
  type Rejected,
} from './entry.ts';
import { DataError } from './errors.ts';
import { type DataKind, dataKindOf, nounOf, whyNot } from './kind.ts';
import { type FileKind, sniff, sniffLength } from './sniff.ts';
import { type LabelTable, mayBeTable, readTable, type Split, splitName } from './tables.ts';

/** A picture or a sound with its label, as it was found. */
export interface Sample {
  /** Its place in the list it was found in; stays the same through edits. */
  readonly id: number;
  readonly path: string;
  readonly entry: FileEntry;
  /** Index into `classes`; -1 where it has none. */
  readonly label: number;
  /** Undefined where neither folder nor table says. */
  readonly split?: Split;
}

/** Samples, their classes, and an account of what was understood. */
export interface LabelledFiles {
  readonly kind: DataKind;
  /** Class names in code-point order. */
  readonly classes: string[];
  /** Ordered by path, by code point. */
  readonly samples: Sample[];
  readonly rejected: Rejected[];
  /** What was understood, in sentences. */
  readonly notes: string[];
}

/** A file larger than this is not read. */
const maxFileBytes = 512 * 2 ** 20;

interface Found {
  readonly path: string;
  readonly entry: FileEntry;
}

/**
 * Makes labelled samples of a drop: of its pictures or of its sounds, whichever are more. In this order: a table
 * (`metadata.jsonl`, `metadata.csv`, any CSV or TSV with a column of file names) gives the labels; else each folder is a class; an optional level of `train`, `val` or
 * `validation`, and `test` above gives the split; a root that all files share is ignored; files that lie loose
 * have no label. Every file that is not taken is listed with its reason; the files that systems leave behind are
 * counted only. `seen` is called with the number of files looked at so far.
 */
export async function readLabelledFolder(
  entries: readonly FileEntry[],
  seen?: (files: number) => void,
): Promise<LabelledFiles> {
  const notes: string[] = [];
  const rejected: Rejected[] = [];
  const files = entries
    .map((entry) => ({ path: normalPath(entry.path), entry }))
    .filter(({ path }) => path !== '' && !isJunk(path));
  const junk = entries.length - files.length;
  const stripped = stripRoot(files);
  stripped.sort((a, b) => byCodePoint(a.path, b.path));
  const { kind, samples, others } = await sortOut(stripped, rejected, seen);
  const tables = await readTables(samples, others, rejected);
  const labelled = label(samples, tables, rejected, notes, nounOf[kind]);
  if (junk > 0)
    notes.push(
      `${count(junk, 'hidden file')} that the system left (such as .DS_Store) ${junk === 1 ? 'was' : 'were'} passed over.`,
    );
  rejected.sort((a, b) => byCodePoint(a.path, b.path));
  return { kind, ...labelled, rejected, notes };
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : /(s|x|ch|sh)$/.test(noun) ? 'es' : 's'}`;
}

/** Takes away leading folders that every file shares. */
function stripRoot(files: readonly Found[]): Found[] {
  let current = [...files];
  for (;;) {
    const root = current[0]?.path.split('/')[0];
    const shared = root !== undefined && current.every(({ path }) => path.startsWith(`${root}/`));
    // A lone `train` folder is a split, not a root.
    if (!shared || splitName(root)) return current;
    current = current.map(({ path, entry }) => ({ path: path.slice(root.length + 1), entry }));
  }
}

/** Files whose first bytes are read at the same time. */
const together = 32;

async function sortOut(files: readonly Found[], rejected: Rejected[], seen?: (files: number) => void) {
  const told: { file: Found; kind: FileKind }[] = [];
  for (let from = 0; from < files.length; from += together) {
    const batch = files.slice(from, from + together);
    const kinds = await Promise.all(batch.map((file, i) => kindOf(file, files[from + i - 1])));
    batch.forEach((file, i) => {
      const kind = kinds[i];
      if (typeof kind === 'string') told.push({ file, kind });
      else rejected.push(kind);
    });
    seen?.(from + batch.length);
  }
  const countOf = (of: DataKind) => told.filter(({ kind }) => dataKindOf(kind) === of).length;
  const kind = countOf('audio') > countOf('image') ? 'audio' : 'image';
  const samples: Found[] = [];
  const others: Found[] = [];
  for (const { file, kind: own } of told) {
    if (dataKindOf(own) === kind) samples.push(file);
    else if (own === 'text' && mayBeTable(file.path)) others.push(file);
    else rejected.push({ path: file.path, reason: whyNot[kind](own) });
  }
  return { kind, samples, others } as const;
}

/** What a file is, or why it cannot be told; `before` is the file before it in path order. */
async function kindOf({ path, entry }: Found, before: Found | undefined): Promise<FileKind | Rejected> {
  if (before?.path === path) return { path, reason: 'another file of the drop has the same path' };
  if (entry.size > maxFileBytes) return { path, reason: 'it is above the 512 MB that one file may have' };
  try {
    return sniff(await headOf(entry, sniffLength));
  } catch (error) {
    const reason =
      error instanceof DataError ? error.reason : `it could not be read (${(error as Error).message})`;
    return { path, reason };
  }
}

async function readTables(
  samples: readonly Found[],
  others: readonly Found[],
  rejected: Rejected[],
): Promise<LabelTable[]> {
  const find = finder(samples);
  const tables: LabelTable[] = [];
  for (const { path, entry } of others) {
    const at = { ...entry, path, bytes: () => entry.bytes() };
    const table = await readTable(at, (folder, cell) => find(folder, cell) !== undefined);
    if (typeof table === 'string') rejected.push({ path, reason: table });
    else if (!table.rows.some((row) => find(table.folder, row.file)))
      rejected.push({
        path,
        reason: `none of the files that its column "${table.fileColumn}" names is in the drop`,
      });
    else tables.push(table);
  }
  return tables;
}

/** Looks a table's cell up among the files: from the table's folder, from the root, by its bare name, without extension. */
function finder(samples: readonly Found[]): (folder: string, cell: string) => Found | undefined {
  const byPath = new Map(samples.map((sample) => [sample.path, sample]));
  const byName = new Map<string, Found | undefined>();
  for (const sample of samples) {
    const name = baseName(sample.path);
    for (const key of new Set([name, name.replace(/\.[^.]*$/, '')]))
      byName.set(key, byName.has(key) ? undefined : sample);
  }
  return (folder, cell) => {
    const path = normalPath(cell);
    const direct = byPath.get(folder ? `${folder}/${path}` : path) ?? byPath.get(path);
    return direct ?? byName.get(baseName(path));
  };
}

interface Labelled {
  readonly path: string;
  readonly entry: FileEntry;
  readonly name: string | undefined;
  readonly split: Split | undefined;
}

function label(
  found: readonly Found[],
  tables: readonly LabelTable[],
  rejected: Rejected[],
  notes: string[],
  noun: string,
) {
  const byTable = fromTables(found, tables, rejected, notes, noun);
  const labelled = byTable ?? fromFolders(found, notes, noun);
  const classes = [...new Set(labelled.flatMap(({ name }) => (name === undefined ? [] : [name])))].sort(
    byCodePoint,
  );
  const index = new Map(classes.map((name, i) => [name, i]));
  const samples = labelled.map(({ path, entry, name, split }, id): Sample => {
    const sample = { id, path, entry, label: name === undefined ? -1 : index.get(name)! };
    return split ? { ...sample, split } : sample;
  });
  return { classes, samples };
}

/** The split that the first folder of a path names. */
function folderSplit(path: string): Split | undefined {
  return path.includes('/') ? splitName(path.slice(0, path.indexOf('/'))) : undefined;
}

function fromTables(
  samples: readonly Found[],
  tables: readonly LabelTable[],
  rejected: Rejected[],
  notes: string[],
  noun: string,
): Labelled[] | undefined {
  const withLabels = tables.filter((table) => table.labelColumn !== undefined);
  for (const table of tables) {
    rejected.push(...table.rejected);
    if (table.labelColumn === undefined)
      notes.push(
        `${table.path} names files but has no column of labels (such as "label"), so it is not used.`,
      );
  }
  if (withLabels.length === 0) return undefined;
  const find = finder(samples);
  const rows = new Map<Found, { name: string | undefined; split: Split | undefined }>();
  for (const table of withLabels) {
    for (const row of table.rows) {
      const where = `${table.path} line ${row.line}`;
      const sample = find(table.folder, row.file);
      if (!sample)
        rejected.push({ path: where, reason: `it names "${row.file}", which is not among the ${noun}s` });
      else if (rows.has(sample) && rows.get(sample)!.name !== row.label)
        rejected.push({
          path: where,
          reason: `it gives "${row.file}" a second label, "${row.label}"; the first one is kept`,
        });
      else rows.set(sample, { name: row.label, split: row.split });
    }
    notes.push(
      `Labels come from ${table.path}: column "${table.fileColumn}" names the file, "${table.labelColumn}" its class.`,
    );
  }
  const unlisted = samples.filter((sample) => rows.get(sample)?.name === undefined).length;
  if (unlisted > 0)
    notes.push(
      `${count(unlisted, noun)} ${unlisted === 1 ? 'has' : 'have'} no label in the table and will not be trained on.`,
    );
  return samples.map((sample) => {
    const row = rows.get(sample);
    return { ...sample, name: row?.name, split: row?.split ?? folderSplit(sample.path) };
  });
}

function fromFolders(samples: readonly Found[], notes: string[], noun: string): Labelled[] {
  const inFolders = samples.filter(({ path }) => path.includes('/'));
  // The first level is one of splits only where nothing but splits is found there, and classes lie below.
  const isSplit = inFolders.length > 0 && inFolders.every(({ path }) => folderSplit(path) !== undefined);
  const labelled = samples.map((sample): Labelled => {
    const split = isSplit ? folderSplit(sample.path) : undefined;
    const below = split ? sample.path.slice(sample.path.indexOf('/') + 1) : sample.path;
    const name = folderName(below).split('/')[0] || undefined;
    return { ...sample, name, split };
  });
  const loose = labelled.filter(({ name }) => name === undefined).length;
  const classes = new Set(labelled.flatMap(({ name }) => name ?? [])).size;
  if (classes > 0)
    notes.push(`Each folder is a class: ${count(classes, 'class')}, ${count(samples.length - loose, noun)}.`);
  if (isSplit) {
    const splits = (['train', 'val', 'test'] as const).filter((split) =>
      labelled.some((l) => l.split === split),
    );
    notes.push(
      `The split comes from the folders: ${splits.map((split) => `${split} ${labelled.filter((l) => l.split === split).length}`).join(', ')}.`,
    );
  }
  if (loose > 0) {
    notes.push(
      `${count(loose, noun)} ${loose === 1 ? 'lies' : 'lie'} in no class folder and ${loose === 1 ? 'has' : 'have'} no label; put ${noun}s into one folder for each class to train on them.`,
    );
  }
  const deep = labelled.filter(({ path, split }) => path.split('/').length > (split ? 3 : 2)).length;
  if (deep > 0)
    notes.push(
      `${count(deep, noun)} ${deep === 1 ? 'lies' : 'lie'} in folders within a class folder and ${deep === 1 ? 'counts' : 'count'} for the outer one.`,
    );
  return labelled;
}
