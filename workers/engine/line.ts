import type { StudioEvent } from '../protocol.ts';
import { noticeOf, type RunRecord } from './record.ts';
import type { RunStore } from './runStore.ts';
import { type Tabs, trainerLock } from './tabs.ts';

interface Ports {
  readonly tabs: Tabs;
  readonly runs: RunStore;
  tell(event: StudioEvent): void;
  /** Trains a run to its end, whichever that is. */
  live(record: RunRecord): Promise<void>;
}

/** Failures after which the next run would fail too. */
const fatal = ['DeviceLostError', 'NoGpuError'];

/**
 * Lets one run of this browser train at a time: the first of the queue, then the next, until none waits. It moves once
 * something is begun, and can be held; held, a run that trains goes on and nothing follows it. Tabs share the queue and
 * whether it moves; the one that has the lock trains, and where that tab dies another that waits takes over.
 */
export class Line {
  readonly #ports: Ports;
  #moves = false;
  #busy = false;
  #again = false;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  get moves(): boolean {
    return this.#moves;
  }

  /** Whether this tab trains, or stands by to. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Lets it move or holds it, and tells. */
  move(moves: boolean): void {
    if (this.#moves !== moves) {
      this.#moves = moves;
      this.#ports.tell({ kind: 'queue', moves });
    }
    if (moves) void this.#advance();
  }

  /** Another tab moved or held it. */
  heard(moves: boolean): void {
    this.#moves = moves;
  }

  async #advance(): Promise<void> {
    const { tabs } = this.#ports;
    this.#again = true;
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#again && this.#moves) {
        this.#again = false;
        const lock = await tabs.hold(trainerLock);
        if (!lock) {
          // Another tab trains, and takes what waits here as well; this one stands by.
          await tabs.whenFree(trainerLock);
          this.#again = true;
          continue;
        }
        try {
          await this.#train();
        } finally {
          lock.release();
        }
      }
    } finally {
      this.#busy = false;
    }
  }

  async #train(): Promise<void> {
    const { runs, live } = this.#ports;
    while (this.#moves) {
      const record = await runs.first();
      if (!record) break;
      await live(record);
      this.#look(record.id);
    }
    // A run that came meanwhile has set the mark.
    if (!this.#again) this.move(false);
  }

  /** Holds the queue where the next run could only end as this one did. */
  #look(id: string): void {
    const { runs, tell } = this.#ports;
    const view = runs.list().find((run) => run.id === id);
    const waits = view?.state === 'queued';
    if (!view || !(waits || (view.state === 'failed' && fatal.includes(view.error?.name ?? '')))) return;
    this.move(false);
    if (!waits && runs.queue().length === 0) return;
    const why = waits
      ? `"${view.name}" could not be begun: its record cannot be written`
      : `"${view.name}" failed`;
    tell({ kind: 'notice', error: noticeOf(`${why}. The queue is held.`) });
  }
}
