import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NoGpuError } from '../../gpu-shaders/index.ts';
import { pngStart } from '../../models/data/testing.ts';
import { fakePool } from '../datasets/testing.ts';
import { hubFetch } from '../hub/port.ts';
import type { DroppedFile, StudioEvent } from '../protocol.ts';
import { OnnxError, type ReferenceWorker } from '../reference.ts';
import { fitProbe, neighbourHits } from '../session/probe.ts';
import { localExclusive, MemoryFiles } from '../storage/memory.ts';
import { openRecords } from '../storage/records.ts';
import { Engine, type EnginePorts } from './studio.ts';
import type { Tabs } from './tabs.ts';

/** A browser of which several tabs may be opened: locks, channel, storage. */
export async function browser(name: string) {
  const held = new Map<string, () => void>();
  const waiting = new Map<string, (() => void)[]>();
  const listeners: ((event: StudioEvent) => void)[] = [];
  const exclusive = localExclusive();
  const db = await openRecords(`test-engine-${name}`);
  const files = new MemoryFiles();
  let ids = 0;

  const tabs = (): Tabs => {
    let own: ((event: StudioEvent) => void) | undefined;
    return {
      exclusive,
      isIdle: async (lock) => !held.has(lock),
      hold: async (lock) => {
        if (held.has(lock)) return null;
        const release = () => {
          held.delete(lock);
          for (const go of waiting.get(lock)?.splice(0) ?? []) go();
        };
        held.set(lock, release);
        return { release };
      },
      whenFree: (lock) =>
        held.has(lock)
          ? new Promise((resolve) => {
              waiting.set(lock, [...(waiting.get(lock) ?? []), resolve]);
            })
          : Promise.resolve(),
      tell: (event) => {
        for (const listener of listeners) if (listener !== own) listener(structuredClone(event));
      },
      hear: (listener) => {
        own = listener;
        listeners.push(listener);
      },
    };
  };

  /** Opens a tab; `change` replaces ports. */
  const tab = async (change: Partial<EnginePorts> = {}) => {
    const events: StudioEvent[] = [];
    const engine = new Engine(async () => ({
      db,
      files,
      pool: fakePool,
      tabs: tabs(),
      reference: fakeReference(),
      asset: (folder, file) => new URL(`../../models/weights/${folder}/${file}`, import.meta.url).href,
      hub: hubFetch(),
      crossOriginIsolated: false,
      outdated: new Promise(() => undefined),
      openGpu: async () => {
        throw new NoGpuError('There is no GPU here.');
      },
      storage: async () => ({ usedBytes: 0, quotaBytes: 1e9, persisted: false }),
      sampleFile: async () => new Uint8Array(),
      scripts: async () => ({ 'train.py': '', 'train_ray.py': '', 'requirements.txt': '' }),
      now: () => Date.now(),
      tick: () => performance.now(),
      newId: () => `id${ids++}`,
      ...change,
    }));
    const machine = await engine.open((event) => events.push(event));
    return { engine, events, machine };
  };

  /** All locks go, as when the tabs are closed. */
  const close = () => {
    for (const release of [...held.values()]) release();
  };

  return { tab, close, db, files };
}

export type Tab = Awaited<ReturnType<Awaited<ReturnType<typeof browser>>['tab']>>;

/** Serves `fetch` of files of the repository, ranges too. */
export async function fetchFile(url: string | URL | Request, options?: RequestInit): Promise<Response> {
  const bytes = readFileSync(fileURLToPath(`${url}`));
  const range = /bytes=(\d+)-(\d+)/.exec(new Headers(options?.headers).get('range') ?? '');
  if (!range) return new Response(bytes);
  return new Response(bytes.subarray(Number(range[1]), Number(range[2]) + 1), { status: 206 });
}

/** ONNX Runtime's place: features of width 1280 that tell the picture's value, with the class in some of them. */
export function fakeReference(): ReferenceWorker {
  return {
    load: async () => undefined,
    features: async ({ pixel_values: { data: pixels, shape } }) => {
      const [count] = shape;
      const size = pixels.length / count;
      return Float32Array.from({ length: count * 1280 }, (_, i) => {
        const value = pixels[Math.floor(i / 1280) * size];
        const of = i % 1280;
        return of < 4 ? Number(value % 4 === of) : of < 12 ? Math.sin(value * (of + 1)) : 0;
      });
    },
    open: async () => {
      throw new OnnxError('There is no ONNX Runtime here.');
    },
    run: async () => ({}),
    close: async () => undefined,
    fitProbe: async (train, val, classes) => fitProbe(train, val, classes),
    neighbourHits: async (train, test, classes, k) => neighbourHits(train, test, classes, k),
  };
}

/** `count` pictures in each of two classes, which their last byte tells. */
export function pets(count: number): DroppedFile[] {
  return ['cat', 'dog'].flatMap((name, label) =>
    Array.from({ length: count }, (_, i) => ({
      path: `pets/${name}/${String(i).padStart(2, '0')}.png`,
      file: new File([Uint8Array.from([...pngStart, (i * 4 + label) & 255])], `${i}.png`),
    })),
  );
}

/** Waits until `ready` holds of what a tab has heard. */
export async function until(ready: () => boolean, patience = 50_000): Promise<void> {
  const end = Date.now() + patience;
  while (!ready()) {
    if (Date.now() > end) throw new Error('It did not happen in time.');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
