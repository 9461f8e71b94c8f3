import type { StudioEvent } from '../protocol.ts';
import type { Exclusive } from '../storage/pointed.ts';

/** What tabs of one browser share: locks, and what one tells the others. */
export interface Tabs {
  readonly exclusive: Exclusive;
  /** True where nobody holds the lock at this moment. */
  isIdle(name: string): Promise<boolean>;
  /** Takes a lock if it is free and holds it until `release`; null where another tab has it. */
  hold(name: string): Promise<{ release(): void } | null>;
  /** Resolves when nobody holds the lock any more. */
  whenFree(name: string): Promise<void>;
  tell(event: StudioEvent): void;
  /** Hears what other tabs tell. */
  hear(listener: (event: StudioEvent) => void): void;
}

/** The lock that the tab which trains holds. */
export const trainerLock = 'graft:trainer';

/** Another tab of this browser trains at the moment. */
export class OtherTabTrains extends Error {
  override name = 'OtherTabTrains';
  readonly advice = 'Wait until it is done, or pause it there. This tab shows how it goes on.';

  constructor() {
    super('Another tab is training, and two trainings would slow each other down.');
  }
}

/** A place in the line of runs of this tab. */
export interface Turn {
  /** Resolves when those before are done. */
  readonly come: Promise<void>;
  leave(): void;
}

/**
 * Lets one run train at a time: those of this tab in line, none while another tab trains. The lock is held from the
 * first run that enters to the last that leaves.
 */
export class TrainerLine {
  readonly #tabs: Tabs;
  #held: Promise<{ release(): void } | null> | undefined;
  #inside = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(tabs: Tabs) {
    this.#tabs = tabs;
  }

  /** Throws `OtherTabTrains`. */
  async enter(): Promise<Turn> {
    this.#inside++;
    this.#held ??= this.#tabs.hold(trainerLock);
    const lock = await this.#held;
    if (!lock) {
      this.#out(null);
      throw new OtherTabTrains();
    }
    const come = this.#tail;
    let leave: () => void = () => undefined;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#tail = come.then(() => left);
    let gone = false;
    return {
      come,
      leave: () => {
        if (gone) return;
        gone = true;
        leave();
        this.#out(lock);
      },
    };
  }

  #out(lock: { release(): void } | null): void {
    if (--this.#inside > 0) return;
    this.#held = undefined;
    lock?.release();
  }
}

/** Tabs of a real browser: Web Locks and a broadcast channel. */
export function browserTabs(): Tabs {
  const channel = new BroadcastChannel('graft');
  const { locks } = navigator;
  return {
    exclusive: (name, work) => locks.request(name, work) as ReturnType<typeof work>,
    isIdle: (name) => locks.request(name, { ifAvailable: true }, async (lock) => lock !== null),
    hold: (name) =>
      new Promise((answer) => {
        void locks.request(name, { ifAvailable: true }, (lock) => {
          if (!lock) return answer(null);
          return new Promise<void>((release) => answer({ release }));
        });
      }),
    whenFree: (name) => locks.request(name, async () => undefined),
    tell: (event) => channel.postMessage(event),
    hear: (listener) => {
      channel.onmessage = ({ data }) => listener(data as StudioEvent);
    },
  };
}
