import { blobSource } from '../../models/checkpoints/bytes.ts';
import { baseName, blobEntry, type FileEntry, type Rejected } from '../../models/data/entry.ts';
import { type LabelledFiles, readLabelledFolder } from '../../models/data/folder.ts';
import { nounOf } from '../../models/data/kind.ts';
import { type Understanding, understand } from '../../models/data/understand.ts';
import { readZip } from '../../models/data/zip.ts';
import type { DatasetView, DroppedFile } from '../protocol.ts';

/** A drop after a look at it: what it is, and its files, those of a single zip instead of the zip. */
export interface Drop {
  readonly understanding: Understanding;
  readonly entries: readonly FileEntry[];
  /** Files of the zip that may not be unpacked. */
  readonly refused: readonly Rejected[];
  /** What to call it. */
  readonly name: string;
}

/** Looks at a drop; a single zip is opened, its files are unpacked when they are read. Throws `ZipError`. */
export async function lookAt(files: readonly DroppedFile[]): Promise<Drop> {
  const entries = files.map(({ path, file }) => blobEntry(path, file));
  const understanding = await understand(entries);
  const name = dropName(files.map(({ path }) => path));
  if (understanding.kind !== 'zip') return { understanding, entries, refused: [], name };
  const zip = files.find(({ file }) => file.size > 0)!;
  const inside = await readZip(blobSource(zip.file), zip.path);
  const within = await understand(inside.entries);
  return { understanding: within, entries: inside.entries, refused: inside.refused, name };
}

/** The folder that all paths share, or the one file's name without its extension. */
function dropName(paths: readonly string[]): string {
  const parts = (paths[0] ?? '').split('/');
  const shared =
    parts.length > 1 && paths.every((path) => path.startsWith(`${parts[0]}/`)) ? parts[0] : undefined;
  if (shared) return shared;
  return paths.length === 1 ? baseName(paths[0]).replace(/\.[^.]+$/, '') : 'Dropped files';
}

/** Samples of a drop with their labels, those refused from the zip among the rejected. */
export async function samplesOf(drop: Drop, seen: (files: number) => void): Promise<LabelledFiles> {
  const found = await readLabelledFolder(drop.entries, seen);
  return { ...found, rejected: [...drop.refused, ...found.rejected] };
}

/** One sentence on a new data set. */
export function sentenceOf(view: DatasetView): string {
  const { train, val, test } = view.counts;
  const count = (n: number, one: string, many: string) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
  const left = view.rejected.length
    ? `; ${count(view.rejected.length, 'file or row was', 'files or rows were')} left out`
    : '';
  const samples = count(train + val + test, nounOf[view.kind], `${nounOf[view.kind]}s`);
  const task = view.table?.chosen.task ?? 'classification';
  const learnt = {
    classification: `in ${count(view.classes.length, 'class', 'classes')}`,
    'causal-lm': 'to learn to write from',
    'masked-lm': 'to learn to fill gaps in',
  }[task];
  return `${samples} ${learnt}${left}.`;
}
