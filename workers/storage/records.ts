import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from 'idb';
import type { DatasetRecord, StoredSample } from '../datasets/record.ts';
import type { RunRecord } from '../engine/record.ts';
import type { Pointer, Pointers } from './pointed.ts';

/** What the page keeps in IndexedDB: records that point to bytes in files, and nothing large. */
export interface Schema extends DBSchema {
  files: { key: string; value: Pointer };
  datasets: { key: string; value: DatasetRecord };
  /** A row for each sample of each data set. */
  samples: { key: [string, number]; value: StoredSample };
  runs: { key: string; value: RunRecord };
  backbones: { key: string; value: BackboneRecord };
}

/** A backbone that was dropped on the page or loaded from a hub; its files lie under `backbones/<id>/`. */
export interface BackboneRecord {
  readonly version: 1;
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  /** Identifies its weights. */
  readonly hash: string;
  readonly files: string[];
  /** Where it was loaded from; absent for one that was dropped. */
  readonly hub?: { readonly hub: string; readonly id: string; readonly commit: string };
  /** When it was taken away, milliseconds since 1970; its files are there until room is needed. */
  readonly removedAt?: number | null;
}

export type Database = IDBPDatabase<Schema>;

/** Names the database's shape; each step of `upgrade` brings an older one to the next. */
const shape = 2;

/**
 * Opens the records. `blocking` is called when another tab, with a newer page, waits to change the database's shape.
 */
export async function openRecords(name = 'graft', blocking: () => void = () => undefined): Promise<Database> {
  return openDB<Schema>(name, shape, {
    async upgrade(db, from, _, tx) {
      if (from < 1) {
        db.createObjectStore('files', { keyPath: 'name' });
        db.createObjectStore('datasets', { keyPath: 'id' });
        db.createObjectStore('samples', { keyPath: ['dataset', 'id'] });
        db.createObjectStore('runs', { keyPath: 'id' });
        db.createObjectStore('backbones', { keyPath: 'id' });
      } else if (from < 2) {
        // Data sets were of pictures alone, and did not say so.
        for await (const cursor of tx.objectStore('datasets'))
          await cursor.update({ ...cursor.value, version: 2, kind: 'image' });
      }
    },
    blocking(_, __, event) {
      // Holding on would stop the newer page from ever opening.
      (event.target as IDBDatabase).close();
      blocking();
    },
  });
}

/** Removes everything that `openRecords` made. */
export function dropRecords(name: string): Promise<void> {
  return deleteDB(name);
}

/** `complete` may come before the disk has it; for a record that others rest on, ask for the disk. */
export const onDisk = { durability: 'strict' } as const;

/** Keys that begin with a prefix. */
function beginning(prefix: string): IDBKeyRange {
  return IDBKeyRange.bound(prefix, `${prefix}\uffff`);
}

/** Pointers to files, in IndexedDB. */
export class RecordPointers implements Pointers {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(name: string): Promise<Pointer | undefined> {
    return this.#db.get('files', name);
  }

  async put(pointer: Pointer): Promise<void> {
    const tx = this.#db.transaction('files', 'readwrite', onDisk);
    await Promise.all([tx.store.put(pointer), tx.done]);
  }

  list(prefix: string): Promise<Pointer[]> {
    return this.#db.getAll('files', beginning(prefix));
  }

  async remove(names: readonly string[]): Promise<void> {
    const tx = this.#db.transaction('files', 'readwrite', onDisk);
    await Promise.all([...names.map((name) => tx.store.delete(name)), tx.done]);
  }
}
