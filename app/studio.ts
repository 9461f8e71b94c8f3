import * as Comlink from 'comlink';
import type { Studio } from '../workers/protocol.ts';

/** Starts the engine worker and speaks to it as if it were here. A worker that cannot start rejects `open`. */
export function startEngine(): Studio {
  const worker = new Worker(new URL('../workers/engine.worker.ts', import.meta.url), { type: 'module' });
  const remote = Comlink.wrap<Studio>(worker);
  const broken = new Promise<never>((_, reject) => {
    worker.addEventListener('error', (event) => {
      reject(
        Object.assign(
          new Error(`The engine could not start: ${event.message || 'its script did not load'}.`),
          {
            name: 'EngineFailed',
            advice: 'Reload the page. If it stays, the browser may be too old for module workers.',
          },
        ),
      );
    });
  });
  broken.catch(() => undefined);
  const open: Studio['open'] = (listen) => Promise.race([remote.open(Comlink.proxy(listen)), broken]);
  // A proxy answers to any name, so everything but `open` passes straight through.
  return new Proxy(remote as unknown as Studio, {
    get: (target, key) => (key === 'open' ? open : key === 'then' ? undefined : Reflect.get(target, key)),
  });
}
