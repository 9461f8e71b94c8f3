import type { Files } from '../session/ports.ts';
import type { Costs } from '../session/programs.ts';
import type { Speed } from './estimate.ts';

const name = 'machine/speed.json';

/**
 * How fast this machine has been, in multiply-adds a millisecond of the frozen prefix and of training steps: what
 * estimates of time rest on. Kept by the adapter's name; the newest measurement counts.
 */
export class Speeds {
  readonly #files: Files;
  readonly #adapter: string;
  #all: Record<string, Speed> = {};

  private constructor(files: Files, adapter: string) {
    this.#files = files;
    this.#adapter = adapter;
  }

  static async open(files: Files, adapter: string): Promise<Speeds> {
    const speeds = new Speeds(files, adapter);
    const bytes = await files.read(name);
    if (bytes) speeds.#all = JSON.parse(new TextDecoder().decode(bytes));
    return speeds;
  }

  get speed(): Speed {
    return this.#all[this.#adapter] ?? { prefix: null, step: null };
  }

  /** `count` pictures went through the prefix in `ms`. */
  async features(costs: Costs, count: number, ms: number): Promise<void> {
    await this.#keep({ ...this.speed, prefix: (costs.prefixFlops * count) / ms });
  }

  /** Steps took `ms` each. */
  async steps(costs: Costs, ms: number): Promise<void> {
    await this.#keep({ ...this.speed, step: costs.stepFlops / ms });
  }

  async #keep(speed: Speed): Promise<void> {
    this.#all = { ...this.#all, [this.#adapter]: speed };
    await this.#files.write(name, new TextEncoder().encode(JSON.stringify(this.#all)));
  }
}
