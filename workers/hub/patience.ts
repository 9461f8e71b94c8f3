import { HubError } from './errors.ts';

/** How long a loader bears with a hub. Times in milliseconds. */
export interface Patience {
  /** Failures one after another, nothing worthwhile between them, before it gives up. */
  readonly tries: number;
  /** Wait after the first failure; each further one doubles it. */
  readonly firstWait: number;
  readonly longestWait: number;
  /** A hub that asks for a longer pause than this is not waited for. */
  readonly longestPause: number;
  /** Silence after which a connection counts as broken. */
  readonly silence: number;
  /** Bytes that must come between two failures for the count to begin anew. */
  readonly worthwhile: number;
}

export const patience: Patience = {
  tries: 6,
  firstWait: 1000,
  longestWait: 30_000,
  longestPause: 180_000,
  silence: 30_000,
  worthwhile: 65_536,
};

/** A failure that another try may mend. */
export interface Failure {
  /** What happened, a clause: `the connection broke`. */
  readonly why: string;
  /** What the hub asked to wait, in milliseconds. */
  readonly pause?: number | undefined;
  readonly status?: number | undefined;
}

/** Counts failures, and waits between tries: longer each time, or as long as the hub asks. */
export class Attempts {
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  readonly #waiting: (why: string, milliseconds: number) => void;
  #failures = 0;
  #came = 0;

  constructor(patience: Patience, signal: AbortSignal, waiting: (why: string, milliseconds: number) => void) {
    this.#patience = patience;
    this.#signal = signal;
    this.#waiting = waiting;
  }

  /** Bytes have come. */
  came(bytes: number): void {
    this.#came += bytes;
    if (this.#came < this.#patience.worthwhile) return;
    this.#came = 0;
    this.#failures = 0;
  }

  /** Waits for the next try. Throws `HubError` where there is no use in one, and the signal's reason when stopped. */
  async failed({ why, pause, status }: Failure, what: string): Promise<void> {
    const { tries, firstWait, longestWait, longestPause } = this.#patience;
    this.#signal.throwIfAborted();
    this.#failures++;
    const kept = 'What has arrived is kept: the next try goes on from there.';
    if (pause !== undefined && pause > longestPause)
      throw new HubError(
        `${what} could not be fetched: ${why}, and asks to wait ${seconds(pause)}.`,
        `Try again then. ${kept}`,
        status,
      );
    if (this.#failures >= tries)
      throw new HubError(
        `${what} could not be fetched: ${why}, ${tries} times in a row.`,
        `Check the connection and the hub’s address, then try again. ${kept}`,
        status,
      );
    const wait = pause ?? Math.min(longestWait, firstWait * 2 ** (this.#failures - 1));
    this.#waiting(why, wait);
    await sleep(wait, this.#signal);
  }
}

/** `Retry-After` in milliseconds: a number of seconds, or a date. Undefined where there is none to read. */
export function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

const seconds = (milliseconds: number) =>
  milliseconds < 120_000 ? `${Math.ceil(milliseconds / 1000)} s` : `${Math.ceil(milliseconds / 60_000)} min`;

export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
