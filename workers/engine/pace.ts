import type { Progress } from '../protocol.ts';

/** How far back the rate looks, in milliseconds. */
const window = 10_000;

/** Turns counts into progress with a rate over the last ten seconds and the time left at that rate. */
export class Pace {
  readonly #now: () => number;
  #phase = '';
  #marks: { at: number; done: number }[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  progress(phase: string, done: number, total: number, unit: string): Progress {
    const at = this.#now();
    if (phase !== this.#phase || done < (this.#marks.at(-1)?.done ?? 0)) this.#marks = [];
    this.#phase = phase;
    this.#marks.push({ at, done });
    while (this.#marks.length > 2 && at - this.#marks[1].at > window) this.#marks.shift();
    const first = this.#marks[0];
    const seconds = (at - first.at) / 1000;
    const perSecond = seconds > 0 && done > first.done ? (done - first.done) / seconds : null;
    return { phase, done, total, unit, perSecond, secondsLeft: perSecond && (total - done) / perSecond };
  }
}
