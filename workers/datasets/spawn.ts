import { type Remote, transfer, wrap } from 'comlink';
import type { SampleWorker } from './jobs.ts';
import type { PoolWorker } from './pool.ts';

/** Starts a data worker beside the engine. Bytes are handed over, not copied. */
export function spawnDataWorker(): PoolWorker {
  const worker = new Worker(new URL('../data.worker.ts', import.meta.url), { type: 'module', name: 'data' });
  const remote: Remote<SampleWorker> = wrap(worker);
  const died = new Promise<string>((resolve) => {
    worker.addEventListener('error', (event) => resolve(event.message || 'its script did not load'));
    worker.addEventListener('messageerror', () => resolve('its answer could not be read'));
  });
  const given = (bytes: Uint8Array) => transfer(bytes, [bytes.buffer as ArrayBuffer]);
  return {
    api: {
      inspect: (bytes, path) => remote.inspect(given(bytes), path),
      load: (bytes, path, want) => remote.load(given(bytes), path, want),
    },
    died,
    terminate: () => worker.terminate(),
  };
}
