import { type Remote, wrap } from 'comlink';
import type { HubFetch } from './port.ts';
import type { HubWorker } from './worker.ts';

/** The port of a loader over the hub worker, which is started when it is first asked for. */
export function workerFetch(): HubFetch {
  let started: { remote: Remote<HubWorker>; died: Promise<never> } | undefined;
  let count = 0;
  return async (url, headers, signal) => {
    started ??= start(() => {
      started = undefined;
    });
    const { remote, died } = started;
    const id = ++count;
    const close = () => remote.close(id);
    const stop = () => void close();
    signal.addEventListener('abort', stop, { once: true });
    // An abort closes the answer over there, which ends what waits for it with an error.
    const answer = await Promise.race([remote.open(id, url, headers), died]);
    const told = new Map(answer.headers.map(([name, value]) => [name.toLowerCase(), value]));
    return {
      status: answer.status,
      header: (name) => told.get(name.toLowerCase()) ?? null,
      read: () => Promise.race([remote.read(id), died]),
      close: async () => {
        signal.removeEventListener('abort', stop);
        await Promise.race([close(), died.catch(() => undefined)]);
      },
    };
  };
}

function start(forget: () => void) {
  const worker = new Worker(new URL('../hub.worker.ts', import.meta.url), { type: 'module', name: 'hub' });
  const died = new Promise<never>((_, reject) => {
    worker.addEventListener('error', (event) => {
      forget();
      reject(new Error(`The hub worker ended: ${event.message || 'its script did not load'}.`));
    });
  });
  died.catch(() => undefined);
  return { remote: wrap<HubWorker>(worker), died };
}
