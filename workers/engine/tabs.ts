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
