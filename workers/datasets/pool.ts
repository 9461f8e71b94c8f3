import { DataError } from '../../models/data/errors.ts';
import type { Inspected, Pool, SampleWorker, Wanted } from './jobs.ts';

/** A worker as the pool sees it. `died` resolves with the reason when it will answer no more. */
export interface PoolWorker {
  readonly api: SampleWorker;
  readonly died: Promise<string>;
  terminate(): void;
}

interface Job {
  readonly path: string;
  run(api: SampleWorker): Promise<unknown>;
  resolve(value: never): void;
  reject(error: unknown): void;
  attempts: number;
}

/**
 * Decodes samples on several workers, one job at a time on each. Workers start at the first job. One that dies is
 * replaced and its job tried once more on another; the second death is taken for the sample's fault.
 */
export class WorkerPool implements Pool {
  readonly size: number;
  readonly #start: () => PoolWorker;
  readonly #patience: number;
  readonly #queue: Job[] = [];
  readonly #idle: PoolWorker[] = [];
  readonly #all = new Set<PoolWorker>();

  /** A worker that is silent on one sample for `patience` milliseconds counts as dead. */
  constructor(size: number, start: () => PoolWorker, patience = 60_000) {
    this.size = Math.max(1, size);
    this.#start = start;
    this.#patience = patience;
  }

  inspect(read: () => Promise<Uint8Array>, path: string): Promise<Inspected> {
    return this.#enqueue(path, async (api) => api.inspect(await read(), path));
  }

  load(read: () => Promise<Uint8Array>, path: string, want: Wanted): Promise<Float32Array> {
    return this.#enqueue(path, async (api) => api.load(await read(), path, want));
  }

  /** Ends all workers; jobs under way are rejected. */
  close(): void {
    for (const worker of this.#all) worker.terminate();
    for (const job of this.#queue.splice(0)) job.reject(new Error('The pool of data workers was closed.'));
    this.#all.clear();
    this.#idle.length = 0;
  }

  #enqueue<T>(path: string, run: (api: SampleWorker) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ path, run, resolve, reject, attempts: 0 });
      this.#next();
    });
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const worker = this.#idle.pop() ?? (this.#all.size < this.size ? this.#hire() : undefined);
      if (!worker) return;
      void this.#give(worker, this.#queue.shift()!);
    }
  }

  #hire(): PoolWorker {
    const worker = this.#start();
    this.#all.add(worker);
    return worker;
  }

  async #give(worker: PoolWorker, job: Job): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silent = new Promise<{ death: string }>((resolve) => {
      timer = setTimeout(() => resolve({ death: 'it takes far too long' }), this.#patience);
    });
    const answer = await Promise.race([
      silent,
      job.run(worker.api).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      ),
      worker.died.then((death) => ({ death })),
    ]);
    clearTimeout(timer);
    if ('death' in answer) {
      this.#all.delete(worker);
      worker.terminate();
      if (++job.attempts < 2) this.#queue.unshift(job);
      else
        job.reject(
          new DataError(
            job.path,
            `decoding it ends the decoder (${answer.death}); save it again or leave it out`,
          ),
        );
    } else {
      this.#idle.push(worker);
      if ('error' in answer) job.reject(answer.error);
      else job.resolve(answer.value as never);
    }
    this.#next();
  }
}

/** Data workers for a machine of `cores`: one core is left to the engine, and more than four gain little. */
export function poolSize(cores: number): number {
  return Math.max(1, Math.min(4, cores - 1));
}
