import { backboneFor } from '../../models/backbones/index.ts';
import type { BackboneCard } from '../../models/describe.ts';
import { parseModel } from '../hub/address.ts';
import type { HubRequest } from '../hub/describe.ts';
import { download, folderKey } from '../hub/download.ts';
import type { HubFetch } from '../hub/port.ts';
import type { Storage, StudioEvent } from '../protocol.ts';
import { type Files, StorageFullError } from '../session/ports.ts';
import { type Backbones, folderOf, hubLock, readBackbone } from './backbones.ts';
import { Pace } from './pace.ts';
import type { Tabs } from './tabs.ts';

interface Ports {
  readonly files: Files;
  readonly backbones: Backbones;
  readonly hub: HubFetch;
  readonly tabs: Pick<Tabs, 'exclusive'>;
  tell(event: StudioEvent): void;
  storage(): Promise<Storage>;
  now(): number;
  tick(): number;
}

const job = 'hub';

/** Brings backbones from a hub into this browser's storage. */
export class HubIntake {
  readonly #ports: Ports;
  #stop = new AbortController();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  cancel(name: string): void {
    if (name === job) this.#stop.abort();
  }

  /** Throws `HubError`, `ConfigError`, `CheckpointError`, `BackboneError` or `StorageFullError`. */
  async load({ model: text, hub, token }: HubRequest): Promise<BackboneCard> {
    const { files, backbones, hub: fetch, tabs, now } = this.#ports;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const model = parseModel(text, hub);
    const report = this.#reporter();
    return tabs.exclusive(hubLock, async () => {
      const got = await download(model, {
        fetch,
        files,
        signal,
        token: token.trim() || undefined,
        folder: (id, commit) => folderOf(folderKey(id, commit)),
        accept: (config) => void backboneFor(config).configure(config),
        inspect: async (tree) => void (await readBackbone(tree, model.id)),
        room: (bytes) => this.#room(bytes),
        report,
        waiting: (why, milliseconds) =>
          report(`Waiting ${Math.ceil(milliseconds / 1000)} s, then trying again: ${why}`, 0, 1),
        now,
      });
      const { state, hash } = got;
      const { card } = await backbones.keep({
        version: 1,
        id: folderKey(model.id, state.commit),
        name: model.id,
        createdAt: now(),
        hash,
        files: state.files.map(({ path }) => path),
        hub: { hub: state.hub, id: model.id, commit: state.commit },
      });
      return card;
    });
  }

  /** Refuses what cannot fit, in words, before it is loaded. */
  async #room(bytes: number): Promise<void> {
    const { storage, backbones } = this.#ports;
    const free = async () => {
      const { usedBytes, quotaBytes } = await storage();
      return quotaBytes - usedBytes;
    };
    if (bytes <= (await free())) return;
    await backbones.dropRemoved(0);
    const left = await free();
    if (bytes <= left) return;
    const gigabytes = (n: number) => `${(n / 1e9).toFixed(2)} GB`;
    throw new StorageFullError(
      `The model needs ${gigabytes(bytes)} more, and this browser leaves ${gigabytes(Math.max(0, left))} for it.`,
    );
  }

  #reporter(): (phase: string, done: number, total: number) => void {
    const pace = new Pace(this.#ports.tick);
    return (phase, done, total) => {
      const unit = total > 1 ? 'bytes' : '';
      const progress = pace.progress(phase, done, Math.max(1, total), unit);
      this.#ports.tell({ kind: 'progress', job, progress });
    };
  }
}
