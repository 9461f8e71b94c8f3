import type { RunState, RunView, StudioEvent } from '../protocol.ts';
import type { Files } from '../session/ports.ts';
import { type Database, onDisk } from '../storage/records.ts';
import { queueOf } from './queue.ts';
import { isMoving, moved, type RunRecord, upgraded } from './record.ts';
import type { Tabs } from './tabs.ts';

/** A run that is not there (any more). */
export class NoRunError extends Error {
  override name = 'NoRunError';
}

/** How long a removed run is kept for someone who wants it back. */
const keepRemoved = 10 * 60_000;
/** Milliseconds between writes of a moving run's progress; its state is written at once. */
const progressEvery = 2000;

interface Ports {
  readonly db: Database;
  readonly files: Files;
  readonly tabs: Pick<Tabs, 'isIdle'>;
  now(): number;
}

/** The lock under which a run's first files are written, before its record. */
export const runLock = (id: string) => `run:${id}`;

/** Where a run's checkpoints, probe and the like lie. */
export const runFolder = (id: string) => `runs/${id}/`;

/** All runs, in memory and in records. Every change is told as a `run` event; a change of state is on the disk first. */
export class RunStore {
  readonly #ports: Ports;
  readonly #tell: (event: StudioEvent) => void;
  readonly #records = new Map<string, RunRecord>();
  readonly #written = new Map<string, number>();

  constructor(ports: Ports, tell: (event: StudioEvent) => void) {
    this.#ports = ports;
    this.#tell = tell;
  }

  /**
   * Reads the records. `alone` says that no other tab trains: a run that counts as moving was then cut off, and is
   * marked as interrupted. Those that wait go on waiting.
   */
  async load(alone: boolean): Promise<void> {
    const { db, files, now } = this.#ports;
    for (const stored of await db.getAll('runs')) {
      const record = upgraded(stored);
      if (record.removedAt !== null && now() - record.removedAt > keepRemoved) {
        await db.delete('runs', record.id);
        await files.remove(runFolder(record.id));
        continue;
      }
      this.#records.set(record.id, record);
      if (alone && isMoving(record.view.state)) await this.move(record.id, 'interrupted');
    }
    await this.#dropStrays();
  }

  /** Files of runs whose record was never written: an import that was cut off. */
  async #dropStrays(): Promise<void> {
    const { files, tabs } = this.#ports;
    const stored = new Set((await files.list('runs/')).map((name) => name.split('/')[1]));
    for (const id of stored)
      if (!this.#records.has(id) && (await tabs.isIdle(runLock(id)))) await files.remove(runFolder(id));
  }

  list(): RunView[] {
    const kept = [...this.#records.values()].filter(({ removedAt }) => removedAt === null);
    return kept.map(({ view }) => view).sort((a, b) => b.createdAt - a.createdAt);
  }

  /** Throws `NoRunError`. */
  get(id: string): RunRecord {
    const record = this.#records.get(id);
    if (!record || record.removedAt !== null)
      throw new NoRunError('That run is not in this browser any more.');
    return record;
  }

  async add(record: RunRecord): Promise<void> {
    await this.#write(record);
  }

  /** Puts a run into a state, with what comes along, on the disk. Throws `RunStateError`. */
  async move(id: string, state: RunState, change: Partial<RunView> = {}): Promise<void> {
    const record = this.get(id);
    await this.#write({ ...record, view: { ...moved(record.view, state), ...change } });
  }

  /** Changes fields other than the state, on the disk. */
  async change(
    id: string,
    change: Partial<Pick<RunRecord, 'report' | 'epoch' | 'removedAt'>>,
    view: Partial<RunView> = {},
  ) {
    const record = this.#records.get(id);
    if (!record) throw new NoRunError('That run is not in this browser any more.');
    await this.#write({ ...record, ...change, view: { ...record.view, ...view } });
  }

  /** Progress of a moving run: told each time, written every two seconds. */
  progress(id: string, change: Partial<RunView>): void {
    const record = this.#records.get(id);
    if (!record) return;
    const next = { ...record, view: { ...record.view, ...change } };
    this.#records.set(id, next);
    this.#tell({ kind: 'run', run: next.view });
    const now = this.#ports.now();
    if (now - (this.#written.get(id) ?? 0) < progressEvery) return;
    this.#written.set(id, now);
    // Nothing rests on this write; one that fails is followed by the next.
    this.#ports.db.put('runs', next).catch(() => undefined);
  }

  /** Marks a run as interrupted whose tab is gone, unless its record says that it ended. */
  async cutOff(id: string): Promise<void> {
    const record = await this.#read(id);
    if (!record) return;
    if (isMoving(record.view.state)) await this.move(id, 'interrupted');
    else this.#tell({ kind: 'run', run: record.view });
  }

  /** Another tab told of a run. */
  heard(view: RunView): void {
    const record = this.#records.get(view.id);
    if (record) this.#records.set(view.id, { ...record, view });
    else void this.#read(view.id);
  }

  /** Those that wait, the next one first. */
  queue(): RunView[] {
    return queueOf(this.list());
  }

  /** The first of the queue as the disk has it, so that what another tab took out does not begin; null where none waits. */
  async first(): Promise<RunRecord | null> {
    for (const { id } of this.queue()) {
      const record = await this.#read(id);
      if (record?.removedAt === null && record.view.state === 'queued') return record;
    }
    return null;
  }

  /** Gives waiting runs their places, all or none. */
  async order(ids: readonly string[]): Promise<void> {
    const records = ids.map((id, place) => {
      const record = this.get(id);
      return { ...record, view: { ...record.view, place } };
    });
    const tx = this.#ports.db.transaction('runs', 'readwrite', onDisk);
    await Promise.all([...records.map((record) => tx.store.put(record)), tx.done]);
    for (const record of records) {
      this.#records.set(record.id, record);
      this.#tell({ kind: 'run', run: record.view });
    }
  }

  async #read(id: string): Promise<RunRecord | null> {
    const stored = await this.#ports.db.get('runs', id);
    const record = stored ? upgraded(stored) : null;
    if (record) this.#records.set(id, record);
    else this.#records.delete(id);
    return record;
  }

  async #write(record: RunRecord): Promise<void> {
    const { db, now } = this.#ports;
    const tx = db.transaction('runs', 'readwrite', onDisk);
    await Promise.all([tx.store.put(record), tx.done]);
    this.#records.set(record.id, record);
    this.#written.set(record.id, now());
    if (record.removedAt === null) this.#tell({ kind: 'run', run: record.view });
  }
}
