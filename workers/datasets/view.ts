import { applyEdits } from '../../models/data/edits.ts';
import type { LabelledFiles, Sample } from '../../models/data/folder.ts';
import { type Division, divide, type SplitSettings } from '../../models/data/split.ts';
import type { ClassView, DatasetView, Split, TableView } from '../protocol.ts';
import type { Files } from '../session/ports.ts';
import { readPlace } from './packs.ts';
import {
  asDataEdits,
  type DatasetRecord,
  type StoredEdit,
  type StoredSample,
  type StoredTable,
} from './record.ts';

/** A data set as it stands after its edits. */
export interface Edited {
  readonly files: LabelledFiles;
  readonly split: SplitSettings;
  readonly division: Division;
  /** Labelled samples with their split, ordered by id. */
  readonly labelled: readonly { id: number; path: string; label: number; split: Split }[];
  readonly hash: string;
}

const splits = ['train', 'val', 'test'] as const;

/** Replays `edits` over the stored rows. Throws `EditError` where one cannot be made. */
export async function editedDataset(
  record: DatasetRecord,
  rows: readonly StoredSample[],
  edits: readonly StoredEdit[],
  store: Files,
): Promise<Edited> {
  const raw: LabelledFiles = {
    kind: record.kind,
    classes: record.classes,
    samples: rows.map((row) => rawSample(row, store)),
    rejected: record.rejected,
    notes: record.notes,
  };
  const { split, ...files } = applyEdits(raw, asDataEdits(edits), record.split);
  const division = divide(files, split);
  const splitOf = new Map(
    splits.flatMap((name) => division[name].map((position) => [position, name] as const)),
  );
  const labelled = files.samples.flatMap(({ id, path, label }, position) => {
    const own = splitOf.get(position);
    return own ? [{ id, path, label, split: own }] : [];
  });
  const contents = new Map(rows.map(({ id, hash }) => [id, hash]));
  const lines = labelled.map(({ id, label, split }) => `${contents.get(id)} ${label} ${split}`);
  const hash = await sha256([JSON.stringify(files.classes), ...lines].join('\n'));
  return { files, split, division, labelled, hash };
}

function rawSample(row: StoredSample, store: Files): Sample {
  const { id, path, label, split, photo } = row;
  const entry = { path, size: photo.end - photo.begin, bytes: () => readPlace(store, photo) };
  return split ? { id, path, entry, label, split } : { id, path, entry, label };
}

/** What the page shows of a data set. */
export function viewOf(record: DatasetRecord, edited: Edited): DatasetView {
  const zero = (): Record<Split, number> => ({ train: 0, val: 0, test: 0 });
  const classes: ClassView[] = edited.files.classes.map((name, index) => ({ index, name, counts: zero() }));
  const counts = zero();
  for (const { label, split } of edited.labelled) {
    classes[label].counts[split]++;
    counts[split]++;
  }
  const { id, kind, name, createdAt, bytes, rejected } = record;
  return {
    id,
    kind,
    name,
    createdAt,
    hash: edited.hash,
    classes,
    counts,
    split: { ...edited.split },
    rejected,
    notes: [...record.notes, ...edited.division.warnings],
    canUndo: record.edits.length > 0,
    table: record.table ? tableView(record.table) : null,
    bytes,
  };
}

function tableView({ columns, chosen, rows }: StoredTable): TableView {
  return { columns: [...columns], chosen, rows: rows.map((row) => [...row]) };
}

/** SHA-256 of text or bytes, hexadecimal. */
export async function sha256(content: string | Uint8Array): Promise<string> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as BufferSource));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
