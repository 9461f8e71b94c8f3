/** Milliseconds of GPU time that a submission may hold: below what watchdogs and a desktop's frames notice for long. */
const SUBMIT_MS = 200;
/** Before anything is timed, work that a software adapter's submission holds; some 200 ms at 5 GFLOP/s. */
const SOFTWARE_COST = 1e9;
/** Runs that are timed. The first counts until the second is known: it may have paid for what is done once. */
const TIMED_RUNS = 2;

/**
 * How a program's dispatches are cut into submissions: all in one where a run is short, else ceil(ms / 200) of about
 * equal time. The time is the wall clock's of the first runs; where the cuts lie changes no result.
 */
export class Submits {
  /** The first dispatch of each submission. */
  starts: readonly number[];
  /** Milliseconds that a run took on the GPU; null before one was timed. */
  milliseconds: number | null = null;
  private runs = 0;

  /** `costs`: what each dispatch does, in any unit that is about proportional to time. */
  constructor(
    private readonly costs: readonly number[],
    software: boolean,
  ) {
    this.starts = software ? split(costs, SOFTWARE_COST) : [0];
  }

  /** Whether the run that begins now is to be timed. */
  timesNext(): boolean {
    return this.runs++ < TIMED_RUNS;
  }

  /** Takes what each submission of a run took, under the cuts that it had, and cuts anew. */
  timed(starts: readonly number[], milliseconds: readonly number[]): void {
    const times = this.costs.map((cost, i) => {
      const at = starts.findLastIndex((start) => start <= i);
      const together = sum(this.costs.slice(starts[at], starts[at + 1]));
      return together > 0 ? (milliseconds[at] * cost) / together : 0;
    });
    this.milliseconds = sum(milliseconds);
    this.starts = split(times, SUBMIT_MS);
  }
}

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

/** Starts of ceil(total / limit) stretches of about equal sums; one item above the limit is a stretch of its own. */
export function split(items: readonly number[], limit: number): number[] {
  const total = sum(items);
  const share = total / Math.max(1, Math.ceil(total / limit));
  const starts = [0];
  let before = 0;
  let stretch = 0;
  items.forEach((item, i) => {
    const middle = Math.floor((before + item / 2) / share);
    if (i > 0 && middle > stretch) starts.push(i);
    stretch = Math.max(stretch, middle);
    before += item;
  });
  return starts;
}
