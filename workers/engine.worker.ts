import { expose } from 'comlink';
import { poolSize, WorkerPool } from './datasets/pool.ts';
import { spawnDataWorker } from './datasets/spawn.ts';
import { assetUrl, elsewhereScripts, sampleFile } from './engine/assets.ts';
import { Engine, type EnginePorts } from './engine/studio.ts';
import { browserTabs } from './engine/tabs.ts';
import { GpuTrainer } from './engine/trainer.ts';
import { keepErrorFields, toStudioError } from './errors.ts';
import { workerFetch } from './hub/workerFetch.ts';
import type { Storage, Studio, StudioError } from './protocol.ts';
import { onnxOf } from './reference.ts';
import { referenceClient } from './referenceClient.ts';
import type { Files } from './session/ports.ts';
import { MemoryFiles } from './storage/memory.ts';
import { OpfsBlobs } from './storage/opfs.ts';
import { PointedFiles } from './storage/pointed.ts';
import { openRecords, RecordPointers } from './storage/records.ts';

/** The engine in its worker: owns the GPU and the storage, speaks `Studio` with the page. */

async function start(): Promise<EnginePorts> {
  const tabs = browserTabs();
  let outdate: () => void = () => undefined;
  const outdated = new Promise<StudioError>((resolve) => {
    outdate = () =>
      resolve({
        name: 'Outdated',
        message:
          'A newer version of the studio was opened in another tab, so this one can store nothing more.',
        advice: 'Reload this tab. Runs go on from their last checkpoint.',
      });
  });
  const db = await openRecords('graft', outdate);
  const files = await openFiles(db, tabs);
  const reference = referenceClient();
  return {
    db,
    files,
    pool: new WorkerPool(poolSize(navigator.hardwareConcurrency), spawnDataWorker),
    tabs,
    reference,
    asset: assetUrl,
    hub: workerFetch(),
    crossOriginIsolated: self.crossOriginIsolated,
    outdated,
    openGpu: () => GpuTrainer.open(navigator.gpu, onnxOf(reference)),
    storage: () => storage(files),
    sampleFile,
    scripts: elsewhereScripts,
    now: () => Date.now(),
    tick: () => performance.now(),
    newId: () => crypto.randomUUID(),
  };
}

type CountedFiles = Files & { total(): Promise<number> };

/** Some browsers close their file system to private windows; the studio then works until the tab is closed. */
async function openFiles(
  db: Awaited<ReturnType<typeof openRecords>>,
  { exclusive }: ReturnType<typeof browserTabs>,
): Promise<CountedFiles> {
  let blobs: OpfsBlobs;
  try {
    blobs = await OpfsBlobs.open();
  } catch {
    return new MemoryFiles();
  }
  const files = new PointedFiles(blobs, new RecordPointers(db), exclusive);
  await files.sweep(Date.now());
  return files;
}

/** The browser's own count of bytes used is off after a crash, so the files are counted. */
async function storage(files: CountedFiles): Promise<Storage> {
  const [usedBytes, { quota = 0 }] = await Promise.all([files.total(), navigator.storage.estimate()]);
  return { usedBytes, quotaBytes: quota, persisted: await navigator.storage.persisted() };
}

/** The engine with every error as the page shows it. */
function told(studio: Studio): Studio {
  return new Proxy(studio, {
    get: (target, key) => {
      const member = Reflect.get(target, key);
      if (typeof member !== 'function') return member;
      return async (...given: unknown[]) => {
        try {
          return await member.apply(target, given);
        } catch (error) {
          const { name, message, advice } = toStudioError(error);
          throw Object.assign(new Error(message), { name, ...(advice ? { advice } : {}) });
        }
      };
    },
  });
}

keepErrorFields();
expose(told(new Engine(start)));
