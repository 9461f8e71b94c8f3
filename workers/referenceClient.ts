import { type Remote, transfer, wrap } from 'comlink';
import { OnnxError, type ReferenceWorker } from './reference.ts';
import type { OnnxTensor } from './session/ports.ts';

/** The reference worker, started when it is first asked for. A failed start is reported to every caller. */
export function referenceClient(): ReferenceWorker {
  let started: { remote: Remote<ReferenceWorker>; died: Promise<never> } | undefined;
  const ask = <T>(command: (remote: Remote<ReferenceWorker>) => Promise<T>): Promise<T> => {
    started ??= start(() => {
      started = undefined;
    });
    return Promise.race([command(started.remote), started.died]);
  };
  return {
    load: (model) => ask((remote) => remote.load(model)),
    features: (inputs) => ask((remote) => remote.features(transfer({ ...inputs }, buffersOf(inputs)))),
    open: ({ graph, weights }) => {
      const parts = [graph, ...(weights ? [weights.data] : [])].map((b) => b.buffer as ArrayBuffer);
      return ask((remote) => remote.open(transfer({ graph, weights }, parts)));
    },
    run: (id, inputs) => ask((remote) => remote.run(id, transfer({ ...inputs }, buffersOf(inputs)))),
    close: (id) => ask((remote) => remote.close(id)),
    neighbourHits: (train, test, classes, k) =>
      ask((remote) => remote.neighbourHits(train, test, classes, k)),
    fitProbe: (train, val, classes) => ask((remote) => remote.fitProbe(train, val, classes)),
  };
}

const buffersOf = (inputs: Readonly<Record<string, OnnxTensor>>) =>
  Object.values(inputs).map(({ data }) => data.buffer as ArrayBuffer);

function start(forget: () => void) {
  const worker = new Worker(new URL('./reference.worker.ts', import.meta.url), {
    type: 'module',
    name: 'reference',
  });
  const died = new Promise<never>((_, reject) => {
    worker.addEventListener('error', (event) => {
      forget();
      reject(new OnnxError(`The reference worker ended: ${event.message || 'its script did not load'}.`));
    });
  });
  died.catch(() => undefined);
  return { remote: wrap<ReferenceWorker>(worker), died };
}
