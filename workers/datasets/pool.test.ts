import { expect, test } from 'vitest';
import { DataError } from '../../models/data/errors.ts';
import type { SampleWorker } from './jobs.ts';
import { type PoolWorker, poolSize, WorkerPool } from './pool.ts';

const read = async () => new Uint8Array(4);

function fake(inspect: SampleWorker['inspect']) {
  let die: (reason: string) => void = () => undefined;
  const died = new Promise<string>((resolve) => {
    die = resolve;
  });
  const worker: PoolWorker & { ended: boolean } = {
    api: { inspect, load: async () => new Float32Array() },
    died,
    ended: false,
    terminate() {
      this.ended = true;
    },
  };
  return { worker, die };
}

const inspected = (bytes: Uint8Array) => ({ bytes, thumbnail: bytes });

test('runs as many jobs at once as it has workers, and starts none before it must', async () => {
  let [running, most, started] = [0, 0, 0];
  const pool = new WorkerPool(2, () => {
    started++;
    return fake(async (bytes) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
      return inspected(bytes);
    }).worker;
  });
  expect(started).toBe(0);
  await pool.inspect(read, 'a');
  expect(started).toBe(1);
  await Promise.all(['b', 'c', 'd', 'e', 'f'].map((path) => pool.inspect(read, path)));
  expect([most, started]).toEqual([2, 2]);
});

test('gives the job of a dead worker to another, and rejects a picture that kills two', async () => {
  let started = 0;
  const pool = new WorkerPool(1, () => {
    started++;
    const { worker, die } = fake((bytes, path) => {
      if (path === 'deadly' || (path === 'unlucky' && started === 1)) {
        die('out of memory');
        return new Promise(() => undefined);
      }
      return Promise.resolve(inspected(bytes));
    });
    return worker;
  });
  const answers = await Promise.allSettled(
    ['unlucky', 'deadly', 'fine'].map((path) => pool.inspect(read, path)),
  );
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  const { reason } = answers[1] as PromiseRejectedResult;
  expect(reason).toBeInstanceOf(DataError);
  expect(reason.message).toMatch(/^deadly: .*out of memory/);
  expect(started).toBe(4);
});

test('takes a silent worker for dead', async () => {
  const pool = new WorkerPool(1, () => fake(() => new Promise(() => undefined)).worker, 5);
  await expect(pool.inspect(read, 'slow')).rejects.toThrow('far too long');
});

test('passes on what a worker says of a picture, and keeps the worker', async () => {
  let started = 0;
  const pool = new WorkerPool(1, () => {
    started++;
    return fake(async (bytes, path) => {
      if (path === 'bad') throw new DataError(path, 'no picture');
      return inspected(bytes);
    }).worker;
  });
  await expect(pool.inspect(read, 'bad')).rejects.toThrow('bad: no picture');
  await pool.inspect(read, 'good');
  expect(started).toBe(1);
});

test('leaves a core to the engine', () => {
  expect([1, 2, 4, 16].map(poolSize)).toEqual([1, 1, 3, 4]);
});
