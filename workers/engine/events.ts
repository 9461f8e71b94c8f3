import type { StudioEvent } from '../protocol.ts';

/** Milliseconds between two deliveries. */
const interval = 100;

/**
 * Gathers events and passes them on at most ten times a second. Of views and progress only the newest is kept, in
 * the place of the first; points of one life of a run are joined; everything else goes through as it came.
 */
export class EventStream {
  readonly #deliver: (event: StudioEvent) => void;
  readonly #now: () => number;
  readonly #waiting = new Map<string, StudioEvent>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(deliver: (event: StudioEvent) => void, now: () => number = () => performance.now()) {
    this.#deliver = deliver;
    this.#now = now;
  }

  send(event: StudioEvent): void {
    const key = keyOf(event) ?? `single ${this.#count++}`;
    const before = this.#waiting.get(key);
    this.#waiting.set(key, before ? joined(before, event) : event);
    this.#timer ??= setTimeout(() => this.flush(), Math.max(0, this.#last + interval - this.#now()));
  }

  /** Delivers now what is waiting: before an answer that the page must not see first. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = this.#now();
    const events = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const event of events) this.#deliver(event);
  }
}

/** Events of one key replace or join each other; null for those that may not. */
function keyOf(event: StudioEvent): string | null {
  switch (event.kind) {
    case 'progress':
      return `progress ${event.job}`;
    case 'run':
      return `run ${event.run.id}`;
    case 'points':
      return `points ${event.run} ${event.epoch}`;
    case 'spectra':
      return `spectra ${event.run}`;
    case 'written':
      return `written ${event.run}`;
    case 'queue':
      return 'queue';
    case 'dataset':
      return `dataset ${event.dataset.id}`;
    default:
      return null;
  }
}

function joined(before: StudioEvent, event: StudioEvent): StudioEvent {
  if (before.kind !== 'points' || event.kind !== 'points') return event;
  return {
    ...event,
    steps: [...before.steps, ...event.steps],
    evals: [...before.evals, ...event.evals],
  };
}
