import { type DataEdit, EditError } from '../../models/data/edits.ts';
import { blobEntry, bytesEntry, type FileEntry, headOf, type Rejected } from '../../models/data/entry.ts';
import { DataError } from '../../models/data/errors.ts';
import type { LabelledFiles } from '../../models/data/folder.ts';
import { type DataKind, dataKindOf, nounOf, whyNot } from '../../models/data/kind.ts';
import { mimeOf, sniff, sniffLength } from '../../models/data/sniff.ts';
import { defaultSplit } from '../../models/data/split.ts';
import { type Words, wordsOf } from '../../models/data/text/texts.ts';
import type { DatasetEdit, DatasetView, Thumbnail } from '../protocol.ts';
import type { Files } from '../session/ports.ts';
import type { Exclusive } from '../storage/pointed.ts';
import { type Database, onDisk } from '../storage/records.ts';
import { datasetFolder, importSamples } from './import.ts';
import type { Pool } from './jobs.ts';
import { PackWriter, readPlace } from './packs.ts';
import { lookAtRow } from './pictures.ts';
import type { DatasetRecord, StoredEdit, StoredSample } from './record.ts';
import type { FoundTexts } from './tables.ts';
import { type Edited, editedDataset, sha256, viewOf } from './view.ts';

export interface DatasetPorts {
  readonly db: Database;
  readonly files: Files;
  readonly pool: Pool;
  readonly exclusive: Exclusive;
  now(): number;
  newId(): string;
}

/** A data set that is not there (any more). */
export class NoDatasetError extends Error {
  override name = 'NoDatasetError';
  readonly advice = 'Drop its files again, or choose another data set.';
}

/** A data set in memory: its record and rows, and what its edits make of them. */
export interface OpenDataset {
  readonly record: DatasetRecord;
  readonly rows: readonly StoredSample[];
  readonly edited: Edited;
}

/** How long a removed data set is kept for someone who wants it back. */
const keepRemoved = 10 * 60_000;

/**
 * Data sets on this machine: samples in packs, rows and edits in records. Records are written when the bytes they
 * name are on the disk. `changed` hears of every new view.
 */
export class DatasetStore {
  readonly #ports: DatasetPorts;
  readonly #open = new Map<string, Promise<OpenDataset>>();
  readonly #changed: (view: DatasetView) => void;

  constructor(ports: DatasetPorts, changed: (view: DatasetView) => void = () => undefined) {
    this.#ports = ports;
    this.#changed = changed;
  }

  /** Everything there is, newest first. */
  async list(): Promise<DatasetView[]> {
    const records = await this.#ports.db.getAll('datasets');
    const kept = records.filter(({ removedAt }) => removedAt === null);
    kept.sort((a, b) => b.createdAt - a.createdAt);
    return Promise.all(kept.map(({ id }) => this.view(id)));
  }

  async view(id: string): Promise<DatasetView> {
    const { record, edited } = await this.open(id);
    return viewOf(record, edited);
  }

  /** Forgets what is in memory of a data set: another tab changed it. */
  forget(id: string): void {
    this.#open.delete(id);
  }

  /** Throws `NoDatasetError`. */
  open(id: string): Promise<OpenDataset> {
    let opened = this.#open.get(id);
    if (!opened) {
      opened = this.#load(id);
      this.#open.set(id, opened);
      opened.catch(() => this.#open.delete(id));
    }
    return opened;
  }

  /** What `edits` made of a data set when a run began, whatever was edited since. */
  async at(id: string, edits: readonly StoredEdit[]): Promise<OpenDataset> {
    const { record, rows } = await this.open(id);
    return { record, rows, edited: await editedDataset(record, rows, edits, this.#ports.files) };
  }

  /**
   * Copies what a drop holds into storage. `signal` stops early and keeps what was taken. Throws `StorageFullError`,
   * leaving nothing behind, and `DataError` where no sample could be taken.
   */
  async import(
    found: LabelledFiles,
    name: string,
    signal: AbortSignal,
    report: (done: number, total: number) => void,
    id = this.#ports.newId(),
    texts?: FoundTexts,
  ): Promise<DatasetView> {
    const { files, pool, db, now, exclusive } = this.#ports;
    return exclusive(importing(id), async () => {
      try {
        for (const [i, file] of (texts?.files ?? []).entries())
          await files.write(tableFile(id, i), await file.bytes());
        const options = { id, name, createdAt: now(), files, pool, signal, report, table: texts?.table };
        const { record, rows } = await importSamples(found, options);
        if (rows.length === 0) throw new NothingTaken(record.rejected);
        const tx = db.transaction(['datasets', 'samples'], 'readwrite', onDisk);
        for (const row of rows) void tx.objectStore('samples').put(row);
        void tx.objectStore('datasets').put(record);
        await tx.done;
      } catch (error) {
        await files.remove(datasetFolder(id));
        throw error;
      }
      return this.#tell(id);
    });
  }

  async edit(id: string, edit: DatasetEdit): Promise<DatasetView> {
    return this.#change(id, ({ record }) => ({ ...record, edits: [...record.edits, edit as DataEdit] }));
  }

  async undo(id: string): Promise<DatasetView> {
    return this.#change(id, ({ record }) => {
      if (record.edits.length === 0) throw new EditError('There is no edit to undo.');
      return { ...record, edits: record.edits.slice(0, -1) };
    });
  }

  /** Adds a captured or pasted sample to a class, making class and data set as needed. Throws `DataError`. */
  async addSample(id: string | null, className: string, sample: Blob): Promise<DatasetView> {
    const entry = blobEntry('the sample', sample);
    const kind = sniff(await headOf(entry, sniffLength));
    const own = dataKindOf(kind);
    const wanted = id ? (await this.open(id)).record.kind : (own ?? 'image');
    if (own !== wanted) {
      const reason =
        wanted === 'text' ? 'a data set of texts takes no files one by one' : whyNot[wanted](kind);
      throw new DataError(`The ${nounOf[wanted]}`, reason);
    }
    const target = id ?? (await this.#makeEmpty(own));
    const { bytes, thumbnail, seconds } = await this.#ports.pool.inspect(
      () => entry.bytes(),
      `The ${nounOf[own]}`,
    );
    const hash = await sha256(bytes);
    return this.#ports.exclusive(importing(target), async () => {
      const { files } = this.#ports;
      this.forget(target);
      const { record, rows, edited } = await this.open(target);
      const photos = await PackWriter.open(files, `${datasetFolder(target)}photos`);
      const thumbs = await PackWriter.open(files, `${datasetFolder(target)}thumbs`);
      const place = { photo: await photos.add(bytes), thumb: await thumbs.add(thumbnail) };
      await photos.flush();
      await thumbs.flush();
      const name = className.trim();
      const known = edited.files.classes.indexOf(name);
      const index = known < 0 ? edited.files.classes.length : known;
      const path = `${name}/added-${String(rows.length).padStart(4, '0')}.${kind === 'jpeg' ? 'jpg' : kind}`;
      const length = seconds === undefined ? {} : { seconds };
      const row: StoredSample = {
        dataset: target,
        id: rows.length,
        path,
        label: -1,
        hash,
        ...place,
        ...length,
      };
      const edits: StoredEdit[] = known < 0 ? [{ kind: 'add-class', name }] : [];
      edits.push({ kind: 'add-picture', sample: row.id, index });
      const next = {
        ...record,
        edits: [...record.edits, ...edits],
        bytes: record.bytes + photos.total + thumbs.total,
      };
      await this.#put(next, [...rows, row], row);
      return this.#tell(target);
    });
  }

  async remove(id: string): Promise<void> {
    await this.#mark(id, this.#ports.now());
    this.forget(id);
  }

  async restore(id: string): Promise<DatasetView> {
    await this.#mark(id, null);
    return this.#tell(id);
  }

  /** The files of the table that a data set's texts came from. Throws `DataError` where there is none. */
  async tableFiles(id: string): Promise<FileEntry[]> {
    const { record } = await this.open(id);
    if (!record.table) throw new DataError(record.name, 'its texts came from no table; drop one');
    return Promise.all(
      record.table.files.map(async (path, i) => {
        const bytes = await this.#ports.files.read(tableFile(id, i));
        if (!bytes) throw new DataError(path, 'it is not stored any more; drop it again');
        return bytesEntry(path, bytes);
      }),
    );
  }

  /** The words of a sample of a data set of texts. */
  async words(id: string, sample: number): Promise<Words> {
    const { rows } = await this.open(id);
    return wordsOf(await readPlace(this.#ports.files, rows[sample].photo));
  }

  /** The file that a sample came as. */
  async original(id: string, sample: number): Promise<Blob> {
    const { rows } = await this.open(id);
    const bytes = await readPlace(this.#ports.files, rows[sample].photo);
    return new Blob([bytes as BlobPart], { type: mimeOf(sniff(bytes.subarray(0, sniffLength))) });
  }

  /** Thumbnails of a class, in the order of its samples. */
  async thumbnails(id: string, classIndex: number, from: number, count: number): Promise<Thumbnail[]> {
    const { rows, edited } = await this.open(id);
    const members = edited.labelled.filter(({ label }) => label === classIndex).slice(from, from + count);
    return Promise.all(
      members.map(async ({ id: sample, path, split }) => ({
        sample,
        path,
        split,
        seconds: rows[sample].seconds ?? null,
        ...(await lookAtRow(this.#ports.files, rows[sample])),
      })),
    );
  }

  /** Clears away, at the start, what was removed earlier and what imports that never ended left. */
  async tidy(isIdle: (name: string) => Promise<boolean>): Promise<void> {
    const { db, files, now } = this.#ports;
    const records = await db.getAll('datasets');
    for (const { id, removedAt } of records)
      if (removedAt !== null && now() - removedAt > keepRemoved) await this.#erase(id);
    const known = new Set(records.map(({ id }) => id));
    const stored = new Set((await files.list('datasets/')).map((name) => name.split('/')[1]));
    for (const id of stored)
      if (!known.has(id) && (await isIdle(importing(id)))) await files.remove(datasetFolder(id));
  }

  async #erase(id: string): Promise<void> {
    const tx = this.#ports.db.transaction(['datasets', 'samples'], 'readwrite', onDisk);
    void tx.objectStore('datasets').delete(id);
    void tx.objectStore('samples').delete(rowsOf(id));
    await tx.done;
    await this.#ports.files.remove(datasetFolder(id));
  }

  async #load(id: string): Promise<OpenDataset> {
    const { db, files } = this.#ports;
    const record = await db.get('datasets', id);
    if (!record || record.removedAt !== null)
      throw new NoDatasetError('That data set is not in this browser any more.');
    const rows = await db.getAll('samples', rowsOf(id));
    return { record, rows, edited: await editedDataset(record, rows, record.edits, files) };
  }

  /** Makes the next record of the newest one, checks that its edits can be replayed, and stores it. */
  async #change(id: string, next: (from: OpenDataset) => DatasetRecord): Promise<DatasetView> {
    return this.#ports.exclusive(importing(id), async () => {
      this.forget(id);
      const from = await this.open(id);
      await this.#put(next(from), from.rows);
      return this.#tell(id);
    });
  }

  async #put(record: DatasetRecord, rows: readonly StoredSample[], added?: StoredSample): Promise<void> {
    const edited = await editedDataset(record, rows, record.edits, this.#ports.files);
    const tx = this.#ports.db.transaction(['datasets', 'samples'], 'readwrite', onDisk);
    if (added) void tx.objectStore('samples').put(added);
    void tx.objectStore('datasets').put(record);
    await tx.done;
    this.#open.set(record.id, Promise.resolve({ record, rows, edited }));
  }

  async #mark(id: string, removedAt: number | null): Promise<void> {
    const tx = this.#ports.db.transaction('datasets', 'readwrite', onDisk);
    const record = await tx.store.get(id);
    if (record) void tx.store.put({ ...record, removedAt });
    await tx.done;
    if (!record) throw new NoDatasetError('That data set is not in this browser any more.');
  }

  async #makeEmpty(kind: DataKind): Promise<string> {
    const id = this.#ports.newId();
    const record: DatasetRecord = {
      version: 2,
      id,
      kind,
      name: `Captured ${nounOf[kind]}s`,
      createdAt: this.#ports.now(),
      removedAt: null,
      classes: [],
      rejected: [],
      notes: [],
      split: defaultSplit,
      edits: [],
      bytes: 0,
    };
    await this.#put(record, []);
    return id;
  }

  async #tell(id: string): Promise<DatasetView> {
    const view = await this.view(id);
    this.#changed(view);
    return view;
  }
}

/** No sample of a drop could be taken; the page lists why. */
export class NothingTaken extends Error {
  override name = 'NothingTaken';
  readonly rejected: readonly Rejected[];

  constructor(rejected: readonly Rejected[]) {
    super('No file of the drop could be taken.');
    this.rejected = rejected;
  }
}

const tableFile = (id: string, index: number) => `${datasetFolder(id)}table.${index}`;

/** The lock under which a data set is written. */
const importing = (id: string) => `dataset:${id}`;

function rowsOf(id: string): IDBKeyRange {
  return IDBKeyRange.bound([id, 0], [id, Number.POSITIVE_INFINITY]);
}
