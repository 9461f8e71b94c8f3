import { hash32, uniform } from '../../models/data/hash.ts';

/**
 * Which samples a step sees, as a pure function of seed and step: nothing to save for a resume. Batches are always
 * full and run on across the end of an epoch; each epoch has an order of its own.
 */
export class Order {
  private readonly epochs = new Map<number, Uint32Array>();

  constructor(
    private readonly count: number,
    private readonly batch: number,
    private readonly seed: number,
    private readonly shuffle: boolean,
  ) {}

  /** Positions (0 to count - 1) in the batch of `step` = 1, 2, …, each with its epoch. */
  at(step: number): { position: number; epoch: number }[] {
    return Array.from({ length: this.batch }, (_, j) => {
      const n = (step - 1) * this.batch + j;
      const epoch = Math.floor(n / this.count);
      const at = n % this.count;
      return { position: this.shuffle ? this.permutation(epoch)[at] : at, epoch };
    });
  }

  private permutation(epoch: number): Uint32Array {
    let order = this.epochs.get(epoch);
    if (!order) {
      order = Uint32Array.from({ length: this.count }, (_, i) => i);
      const stream = hash32(this.seed, epoch + 1);
      // Fisher and Yates.
      for (let i = this.count - 1; i > 0; i--) {
        const j = Math.floor(uniform(stream, i) * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      this.epochs.clear();
      this.epochs.set(epoch, order);
    }
    return order;
  }
}

/** Learning rate of `step` = 1 … `steps`: a linear rise over the first `warmup` share, then the schedule. */
export function scheduledRate(kind: string, lr: number, step: number, steps: number, warmup: number): number {
  const rise = Math.round(warmup * steps);
  if (step <= rise) return (lr * step) / rise;
  // Hugging Face's schedules count updates done before this one.
  const done = (step - 1 - rise) / Math.max(1, steps - rise);
  if (kind === 'linear') return lr * (1 - done);
  if (kind === 'cosine') return lr * 0.5 * (1 + Math.cos(Math.PI * done));
  return lr;
}
