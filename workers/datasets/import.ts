import { DataError } from '../../models/data/errors.ts';
import type { LabelledFiles, Sample } from '../../models/data/folder.ts';
import { nounOf } from '../../models/data/kind.ts';
import { defaultSplit } from '../../models/data/split.ts';
import type { Rejected } from '../protocol.ts';
import type { Files } from '../session/ports.ts';
import type { Pool } from './jobs.ts';
import { PackWriter } from './packs.ts';
import type { DatasetRecord, StoredSample, StoredTable } from './record.ts';
import { sha256 } from './view.ts';

/** What an import needs to know, and whom it tells. */
export interface ImportOptions {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly files: Files;
  readonly pool: Pool;
  /** When it fires, what was taken so far becomes the data set. */
  readonly signal: AbortSignal;
  report(done: number, total: number): void;
  /** The table that texts came from; its files are stored already. */
  readonly table?: StoredTable;
}

/** Where the packs of a data set lie; everything of it begins with this. */
export const datasetFolder = (id: string) => `datasets/${id}/`;

interface Taken {
  readonly photo: Uint8Array;
  /** Absent for a text. */
  readonly thumbnail?: Uint8Array;
  readonly hash: string;
  readonly seconds?: number;
}

/**
 * Copies the samples of a drop into packs. Each is decoded once, so that a damaged file is turned away here, by
 * name, and never meets a training. At most two samples a worker are in memory at a time.
 * Throws `StorageFullError`; the caller removes what was written then.
 */
export async function importSamples(
  found: LabelledFiles,
  options: ImportOptions,
): Promise<{ record: DatasetRecord; rows: StoredSample[] }> {
  const { id, files, pool, signal, report } = options;
  const photos = await PackWriter.open(files, `${datasetFolder(id)}photos`);
  const thumbs = await PackWriter.open(files, `${datasetFolder(id)}thumbs`);
  const rows: StoredSample[] = [];
  const rejected: Rejected[] = [];
  const total = found.samples.length;
  let next = 0;
  const ahead = new Map<number, Promise<Taken | Rejected>>();
  for (let i = 0; i < total && !signal.aborted; i++) {
    for (; next < Math.min(total, i + pool.size * 2); next++)
      ahead.set(
        next,
        found.kind === 'text' ? takeText(found.samples[next]) : take(found.samples[next], pool),
      );
    const taken = await ahead.get(i)!;
    ahead.delete(i);
    if ('reason' in taken) rejected.push(taken);
    else {
      const { path, label, split } = found.samples[i];
      const { hash, seconds, thumbnail } = taken;
      const photo = await photos.add(taken.photo);
      const place = thumbnail ? { photo, thumb: await thumbs.add(thumbnail) } : { photo };
      const row = { dataset: id, id: rows.length, path, label, hash, ...place };
      rows.push({ ...row, ...(split && { split }), ...(seconds !== undefined && { seconds }) });
    }
    if (found.kind !== 'text' || i % 100 === 99 || i + 1 === total) report(i + 1, total);
  }
  await photos.flush();
  await thumbs.flush();
  const notes = [
    ...found.notes,
    ...stoppedNote(signal, rows.length + rejected.length, total, nounOf[found.kind]),
    ...doubles(rows, nounOf[found.kind]),
  ];
  const record: DatasetRecord = {
    version: 2,
    id,
    kind: found.kind,
    name: options.name,
    createdAt: options.createdAt,
    removedAt: null,
    classes: found.classes,
    rejected: [...found.rejected, ...rejected],
    notes,
    split: defaultSplit,
    edits: [],
    bytes: photos.total + thumbs.total,
    ...(options.table && { table: options.table }),
  };
  return { record, rows };
}

async function takeText({ entry }: Sample): Promise<Taken> {
  const photo = await entry.bytes();
  return { photo, hash: await sha256(photo) };
}

async function take(sample: Sample, pool: Pool): Promise<Taken | Rejected> {
  try {
    const { bytes, ...rest } = await pool.inspect(() => sample.entry.bytes(), sample.path);
    return { photo: bytes, hash: await sha256(bytes), ...rest };
  } catch (error) {
    if (error instanceof DataError) return { path: sample.path, reason: error.reason };
    return { path: sample.path, reason: `it could not be read (${(error as Error).message})` };
  }
}

function stoppedNote(signal: AbortSignal, done: number, total: number, noun: string): string[] {
  if (!signal.aborted || done === total) return [];
  return [
    `The import was stopped after ${done} of ${total} ${noun}s; drop the folder again for all of them.`,
  ];
}

function doubles(rows: readonly StoredSample[], noun: string): string[] {
  const extra = rows.length - new Set(rows.map(({ hash }) => hash)).size;
  if (extra === 0) return [];
  const [are, each] = extra === 1 ? [`1 ${noun} is`, 'it'] : [`${extra} ${noun}s are`, 'they'];
  return [
    `${are} the same as another, byte for byte; where ${each} fall into different splits, scores look too good.`,
  ];
}
