import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { FileTree, JsonObject } from '../../models/checkpoints/folder.ts';
import type { Files } from '../session/ports.ts';
import type { HubModel } from './address.ts';
import { type Choice, choose, shardsOf } from './choose.ts';
import { type ClientOptions, HubClient, type HubFile, type HubListing } from './client.ts';
import { HubError } from './errors.ts';
import { FileDownload } from './file.ts';
import { remoteSource } from './remote.ts';
import { type DownloadState, isWhole, readState, writeState } from './state.ts';

export interface DownloadOptions extends ClientOptions {
  readonly files: Files;
  /** Where the files of a commit are kept: a prefix of names, with a slash at its end. */
  folder(id: string, commit: string): string;
  /** Refuses by `config.json` alone, before anything else is fetched. */
  accept(config: JsonObject): void;
  /** Refuses by the small files and the headers of the weights, read by range, before the weights are fetched. */
  inspect(tree: FileTree): Promise<void>;
  /** Refuses what there is no room for, in bytes still to come. */
  room(bytes: number): Promise<void>;
  report(phase: string, done: number, total: number): void;
}

/** A model that lies in storage whole, every file of the size and the hash that the hub tells. */
export interface Downloaded {
  readonly folder: string;
  readonly state: DownloadState;
  /** Changes with any byte of any file. */
  readonly hash: string;
}

/** A name for a commit's folder: the same from every mirror. */
export function folderKey(id: string, commit: string): string {
  return `hub-${hashOf(`${id}@${commit}`).slice(0, 24)}`;
}

/**
 * Brings a model from a hub into storage: its list, whose commit everything else is fetched by; `config.json`, then
 * the other small files and the headers of the weights, each of which may refuse it; then the weights. What was
 * stored by an earlier try stays and is gone on from. Throws `HubError`, `StorageFullError`, what `accept`, `inspect`
 * and `room` throw, and the signal's reason.
 */
export async function download(model: HubModel, options: DownloadOptions): Promise<Downloaded> {
  // A commit never changes: what is here of it needs no hub.
  const here = isCommit(model.revision) && (await stored(model.id, model.revision, options));
  if (here) return here;
  options.report('Asking the hub', 0, 0);
  const asked = new HubClient(model, options);
  const listing = await asked.list();
  const client = asked.at(listing.commit);
  const whole = await stored(model.id, listing.commit, options);
  if (whole) return whole;
  const folder = options.folder(model.id, listing.commit);
  const store = new Store(client, listing, folder, model, options);
  const choice = choose(listing, model.id);
  const config = await store.small(choice.small[0]);
  options.accept(parseConfig(config, model.id));
  const small = new Map([['config.json', config]]);
  for (const file of choice.small.slice(1)) small.set(file.path, await store.small(file));
  const weights = weightsOf(choice, small, listing);
  const tree: FileTree = new Map([
    ...[...small].map(([name, bytes]) => [name, { size: bytes.length, read: reading(bytes) }] as const),
    ...(await Promise.all(
      weights.map(async (file) => [file.path, await remoteSource(client, file)] as const),
    )),
  ]);
  options.report('Reading the headers of the weights', 0, 0);
  await options.inspect(tree);
  const sized = weights.map((file) => ({ ...file, size: file.size ?? tree.get(file.path)!.size }));
  await store.begin([...choice.small, ...sized]);
  await store.weights(sized);
  return (await stored(model.id, listing.commit, options))!;
}

const isCommit = (revision: string) => /^[0-9a-f]{40,64}$/.test(revision);

/** A commit that lies in storage whole; null where it does not. */
async function stored(
  id: string,
  commit: string,
  { files, folder }: Pick<DownloadOptions, 'files' | 'folder'>,
): Promise<Downloaded | null> {
  const where = folder(id, commit);
  const state = await readState(files, where);
  if (state?.commit !== commit || !isWhole(state)) return null;
  for (const { path, size } of state.files) if ((await files.size(`${where}${path}`)) !== size) return null;
  const lines = state.files.map(({ path, done }) => `${path} ${done}\n`).sort();
  return { folder: where, state, hash: hashOf(lines.join('')) };
}

const hashOf = (text: string) => bytesToHex(sha256(new TextEncoder().encode(text)));

const reading = (bytes: Uint8Array) => async (begin: number, end: number) => bytes.subarray(begin, end);

function parseConfig(bytes: Uint8Array, id: string): JsonObject {
  try {
    const config: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config as JsonObject;
  } catch {
    // Told below, in the same words as a list or a number would be.
  }
  throw new HubError(
    `The config.json of ${id} is no JSON object.`,
    'Check the hub’s address: a proxy may have answered in its place.',
  );
}

function weightsOf({ weights, index }: Choice, small: ReadonlyMap<string, Uint8Array>, listing: HubListing) {
  return weights ? [weights] : shardsOf(small.get(index!.path)!, index!.path, listing);
}

/** A download's files in storage, and the record of how far each is. */
class Store {
  readonly #client: HubClient;
  readonly #folder: string;
  readonly #options: DownloadOptions;
  readonly #known = new Map<string, Uint8Array>();
  #state: DownloadState;

  constructor(
    client: HubClient,
    { commit }: HubListing,
    folder: string,
    { hub, id, revision }: HubModel,
    options: DownloadOptions,
  ) {
    this.#client = client;
    this.#folder = folder;
    this.#options = options;
    this.#state = { version: 1, hub, id, revision, commit, files: [] };
  }

  /** A small file, whole, from memory or from the hub. */
  async small(file: HubFile): Promise<Uint8Array> {
    const known = this.#known.get(file.path);
    if (known) return known;
    const bytes = await new FileDownload(this.#client, { ...file, etag: null, done: null }).small();
    this.#known.set(file.path, bytes);
    return bytes;
  }

  /** Writes the small files and the record, keeping what an earlier try has of the same commit. */
  async begin(files: readonly HubFile[]): Promise<void> {
    const { files: storage, room } = this.#options;
    const earlier = await readState(storage, this.#folder);
    const before = new Map(
      earlier?.commit === this.#state.commit ? earlier.files.map((f) => [f.path, f] as const) : [],
    );
    if (before.size === 0) await storage.remove(this.#folder);
    let missing = 0;
    for (const { path, size } of files)
      missing += Math.max(0, (size ?? 0) - ((await storage.size(`${this.#folder}${path}`)) ?? 0));
    await room(missing);
    this.#state = {
      ...this.#state,
      files: files.map((file) => ({
        ...file,
        etag: before.get(file.path)?.etag ?? null,
        done: before.get(file.path)?.done ?? null,
      })),
    };
    await writeState(storage, this.#folder, this.#state);
    for (const [path, bytes] of this.#known) {
      await storage.write(`${this.#folder}${path}`, bytes);
      await this.#mark(path, { done: bytesToHex(sha256(bytes)), size: bytes.length });
    }
  }

  async weights(files: readonly HubFile[]): Promise<void> {
    const { report } = this.#options;
    const total = files.reduce((sum, { size }) => sum + (size ?? 0), 0);
    let before = 0;
    for (const { path, size } of files) {
      const file = this.#state.files.find((f) => f.path === path)!;
      const work = new FileDownload(this.#client, file, {
        files: this.#options.files,
        name: `${this.#folder}${path}`,
        signal: this.#options.signal,
        came: (bytes) => report('Loading from the hub', before + bytes, total),
        checking: (bytes) => report('Checking what is here already', before + bytes, total),
        tagged: (etag) => this.#mark(path, { etag }),
      });
      await this.#mark(path, { done: await work.stored() });
      before += size ?? 0;
    }
    report('Loading from the hub', total, total);
  }

  async #mark(path: string, change: Partial<DownloadState['files'][number]>): Promise<void> {
    const files = this.#state.files.map((file) => (file.path === path ? { ...file, ...change } : file));
    this.#state = { ...this.#state, files };
    await writeState(this.#options.files, this.#folder, this.#state);
  }
}
