import type { ByteSource } from '../../models/checkpoints/bytes.ts';
import { type FileTree, type JsonObject, openFolder } from '../../models/checkpoints/folder.ts';
import { baseName, type FileEntry, folderName, normalPath, sourceOf } from '../../models/data/entry.ts';
import { openTokenizer, tokenizerFiles } from '../../models/data/text/openTokenizer.ts';
import { type TextTokenizer, TokenizerError } from '../../models/data/text/tokenizer.ts';
import type { BackboneCard } from '../../models/describe.ts';
import type { Model } from '../../models/model.ts';
import { onnxFolder } from '../../models/onnx/folder.ts';
import { type BackboneSource, describeBackbone, openModel } from '../../models/open.ts';
import { type EmbeddedBackbone, embeddedBackbones } from '../../models/weights/index.ts';
import { sha256 } from '../datasets/view.ts';
import type { StoredBackbone } from '../hub/describe.ts';
import { readState, stateFile } from '../hub/state.ts';
import type { ReferenceModel } from '../reference.ts';
import type { Files } from '../session/ports.ts';
import type { BackboneRecord, Database } from '../storage/records.ts';
import { onDisk } from '../storage/records.ts';
import { BackboneError, RemoteFile } from './remoteFile.ts';
import type { Tabs } from './tabs.ts';

export { BackboneError } from './remoteFile.ts';

/** A backbone ready to be read: its model, whose weights come when they are asked for. */
export interface OpenBackbone {
  readonly id: string;
  readonly card: BackboneCard;
  readonly model: Model;
  readonly config: JsonObject;
  /** `preprocessor_config.json`; empty where it reads text. */
  readonly preprocessor: JsonObject;
  /** How texts become tokens; throws `TokenizerError` where the folder has no tokenizer. */
  tokenizer(): Promise<TextTokenizer>;
  /** The tokenizer's files by name. */
  tokenizerFiles(): Promise<Map<string, Uint8Array>>;
  /** Identifies its weights. */
  readonly hash: string;
  /** Its ONNX graph, where it has one. */
  readonly reference: ReferenceModel | null;
  /** Brings the weights into reach, from the page's own origin; nothing to do for those in storage. */
  fetch(report: (done: number, total: number) => void): Promise<void>;
  /** All files of its folder but the ONNX graph, whole, by name. */
  folder(): Promise<Map<string, Uint8Array>>;
}

/** Where the embedded backbones' files are: addresses on the page's own origin. */
export type AssetUrl = (folder: string, file: string) => string;

interface Ports {
  readonly db: Database;
  readonly files: Files;
  readonly asset: AssetUrl;
  readonly tabs: Pick<Tabs, 'exclusive' | 'isIdle'>;
  now(): number;
}

/** The backbones of the page and those dropped on it. */
export class Backbones {
  readonly #ports: Ports;
  readonly #open = new Map<string, Promise<OpenBackbone>>();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /** All that can be used. One in storage that cannot is left out, and stays in the list of `stored`. */
  async cards(): Promise<BackboneCard[]> {
    const own = await Promise.all(embeddedBackbones.map(async ({ id }) => (await this.open(id)).card));
    const kept = await this.#kept();
    const opened = await Promise.allSettled(kept.map(({ id }) => this.open(id)));
    return [...own, ...opened.flatMap((o) => (o.status === 'fulfilled' ? [o.value.card] : []))];
  }

  /** What is in storage, downloads that have not ended among it. */
  async stored(): Promise<StoredBackbone[]> {
    const { db, files } = this.#ports;
    const plans = (await db.getAll('runs')).filter(({ removedAt }) => removedAt === null);
    const records = await this.#kept();
    const found: StoredBackbone[] = await Promise.all(
      records.map(async ({ id, name, hub }) => ({
        id,
        title: name,
        source: hub ? sourceText(hub) : 'your own files',
        bytes: await bytesUnder(files, id),
        missingBytes: 0,
        runs: plans.filter(({ view }) => view.plan.backbone === id).length,
        request: null,
      })),
    );
    const known = new Set(await db.getAllKeys('backbones'));
    for (const id of await this.#folders()) {
      const state = known.has(id) ? null : await readState(files, folderOf(id));
      if (!state) continue;
      const bytes = await bytesUnder(files, id);
      const total = state.files.reduce((sum, { size }) => sum + (size ?? 0), 0);
      found.push({
        id,
        title: state.id,
        source: sourceText(state),
        bytes,
        missingBytes: Math.max(0, total - bytes),
        runs: 0,
        request: { model: `${state.id}@${state.commit}`, hub: state.hub },
      });
    }
    return found;
  }

  /** Takes one away; `restore` brings it back as long as nothing needed its room. */
  async remove(id: string): Promise<void> {
    const record = await this.#ports.db.get('backbones', id);
    this.#open.delete(id);
    if (record) await this.#put({ ...record, removedAt: this.#ports.now() });
    else if (await this.#ports.tabs.isIdle(hubLock)) await this.#ports.files.remove(folderOf(id));
    else throw new BackboneError('A download is under way.', 'Cancel it first, then remove what came of it.');
  }

  async restore(id: string): Promise<void> {
    const record = await this.#ports.db.get('backbones', id);
    if (!record)
      throw new BackboneError('Its files are gone already.', 'Load it again, or drop its folder again.');
    await this.#put({ ...record, removedAt: null });
  }

  /** Gives the room of those that were taken away `age` milliseconds ago or earlier. */
  async dropRemoved(age: number): Promise<void> {
    const { db, files, now } = this.#ports;
    for (const { id, removedAt } of await db.getAll('backbones')) {
      if (typeof removedAt !== 'number' || now() - removedAt < age) continue;
      await db.delete('backbones', id);
      await files.remove(folderOf(id));
    }
  }

  /** Enters one whose files are in storage already. Throws what opening throws. */
  async keep(record: BackboneRecord): Promise<OpenBackbone> {
    const opened = await openStored(record, this.#ports.files);
    await this.#put(record);
    this.#open.set(record.id, Promise.resolve(opened));
    return opened;
  }

  async #put(record: BackboneRecord): Promise<void> {
    const tx = this.#ports.db.transaction('backbones', 'readwrite', onDisk);
    await Promise.all([tx.store.put(record), tx.done]);
  }

  async #kept(): Promise<BackboneRecord[]> {
    const records = (await this.#ports.db.getAll('backbones')).filter(({ removedAt }) => !removedAt);
    return records.sort((a, b) => a.createdAt - b.createdAt);
  }

  async #folders(): Promise<Set<string>> {
    return new Set((await this.#ports.files.list('backbones/')).map((file) => file.split('/')[1]));
  }

  /** Throws `BackboneError`, `ConfigError` or `CheckpointError`. */
  open(id: string): Promise<OpenBackbone> {
    let opened = this.#open.get(id);
    if (!opened) {
      opened = this.#load(id);
      this.#open.set(id, opened);
      opened.catch(() => this.#open.delete(id));
    }
    return opened;
  }

  async #load(id: string): Promise<OpenBackbone> {
    const embedded = embeddedBackbones.find((backbone) => backbone.id === id);
    if (embedded) return openEmbedded(embedded, this.#ports.asset);
    const record = await this.#ports.db.get('backbones', id);
    if (!record || record.removedAt)
      throw new BackboneError(
        'That backbone is not in this browser any more.',
        'Load it again, or drop its folder again.',
      );
    return openStored(record, this.#ports.files);
  }

  /**
   * Copies a dropped Hugging Face folder into storage and opens it. `report` hears of bytes copied and may throw to
   * stop. Throws what opening throws, leaving nothing behind.
   */
  async add(
    entries: readonly FileEntry[],
    folder: string,
    name: string,
    report: (done: number, total: number) => void,
  ): Promise<OpenBackbone> {
    const inside = entries
      .map((entry) => ({ entry, path: normalPath(entry.path) }))
      .filter(({ path }) => folderName(path) === folder)
      .map(({ entry, path }) => [baseName(path), sourceOf(entry)] as const);
    // Weights of a graph may lie in files of any name.
    const tree = (await onnxFolder(new Map(inside)))?.files ?? new Map(inside);
    const found = [...tree].filter(([file]) => isOfModel(file)).map(([file, source]) => ({ file, source }));
    // Refuses what cannot be used before anything is copied.
    await readBackbone(new Map(found.map(({ file, source }) => [file, source])), name);
    await this.dropRemoved(0);
    const id = `dropped-${crypto.randomUUID()}`;
    return this.#ports.tabs.exclusive(copying(id), () => this.#copy(id, name, found, report));
  }

  /** Removes what copies that never ended left, and what was taken away; a download that can go on stays. */
  async tidy(): Promise<void> {
    const { db, files, tabs } = this.#ports;
    await this.dropRemoved(keepRemoved);
    const known = new Set(await db.getAllKeys('backbones'));
    for (const id of await this.#folders()) {
      const begun = (await files.size(`${folderOf(id)}${stateFile}`)) !== null;
      if (!known.has(id) && !begun && (await tabs.isIdle(copying(id)))) await files.remove(folderOf(id));
    }
  }

  async #copy(
    id: string,
    name: string,
    found: readonly { file: string; source: ByteSource }[],
    report: (done: number, total: number) => void,
  ): Promise<OpenBackbone> {
    const { files, now } = this.#ports;
    try {
      const total = found.reduce((sum, { source }) => sum + source.size, 0);
      let done = 0;
      const digests: string[] = [];
      for (const { file, source } of found) {
        for await (const piece of pieces(source)) {
          await files.append(`${folderOf(id)}${file}`, piece);
          digests.push(await sha256(piece));
          done += piece.length;
          report(done, total);
        }
      }
      const hash = await sha256(digests.join());
      const kept = found.map(({ file }) => file);
      return await this.keep({ version: 1, id, name, createdAt: now(), hash, files: kept });
    } catch (error) {
      await files.remove(folderOf(id));
      throw error;
    }
  }
}

/** The lock under which a backbone is loaded from a hub, one at a time: two of one commit would write the same files. */
export const hubLock = 'hub';

/** The lock under which a backbone is copied. */
const copying = (id: string) => `backbone:${id}`;

/** Where a backbone's files lie in storage. */
export const folderOf = (id: string) => `backbones/${id}/`;

/** How long a backbone that was taken away can be had back, in milliseconds. */
const keepRemoved = 10 * 60_000;

/** Weights in any form that is read, their index, the configurations, and what a tokenizer needs. */
function isOfModel(file: string): boolean {
  return (
    /\.(safetensors|bin|pt|pth|ckpt|onnx)$|\.(safetensors|bin)\.index\.json$/.test(file) ||
    /^(config|preprocessor_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\.json$/.test(
      file,
    ) ||
    /^(vocab\.txt|merges\.txt|spiece\.model|sentencepiece\.bpe\.model|tokenizer\.model|chat_template\.jinja)$/.test(
      file,
    )
  );
}

const isWeights = (file: string) => /\.(safetensors|bin|pt|pth|ckpt|onnx)$/.test(file);

const sourceText = ({ hub, id, commit }: { hub: string; id: string; commit: string }) =>
  `${id}, commit ${commit.slice(0, 12)}, from ${hub}`;

async function bytesUnder(files: Files, id: string): Promise<number> {
  const sizes = await Promise.all((await files.list(folderOf(id))).map((name) => files.size(name)));
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
}

async function* pieces(source: ByteSource, size = 4 * 2 ** 20): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += size) yield source.read(at, Math.min(source.size, at + size));
}

/** Reads a folder as a backbone's. Throws where it cannot be one, before any weight is read. */
export async function readBackbone(
  tree: FileTree,
  title: string,
): Promise<Pick<OpenBackbone, 'model' | 'config' | 'preprocessor' | 'tokenizer' | 'tokenizerFiles'>> {
  const folder = await openFolder(tree);
  const model = openModel(folder);
  const { config } = folder;
  const texts = {
    tokenizer: keptTokenizer(tree, title),
    tokenizerFiles: () => filesNamed(tree, tokenizerFiles),
  };
  // Texts are prepared by a tokenizer.
  const preprocessor = folder.preprocessor ?? (model.backbone.modality === 'text' ? {} : undefined);
  if (preprocessor) return { model, config, preprocessor, ...texts };
  throw new BackboneError(
    `"${title}" has no preprocessor_config.json, so nothing tells how to prepare samples for it.`,
    'Add that file to the folder and drop it again.',
  );
}

/** The folder's tokenizer, read when it is first asked for. */
function keptTokenizer(tree: FileTree, title: string): () => Promise<TextTokenizer> {
  let opened: Promise<TextTokenizer> | undefined;
  return () => {
    opened ??= openTokenizer(tree).then((tokenizer) => {
      if (tokenizer) return tokenizer;
      throw new TokenizerError(`"${title}" has no tokenizer.json, so it cannot read texts.`);
    });
    opened.catch(() => {
      opened = undefined;
    });
    return opened;
  };
}

async function filesNamed(tree: FileTree, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const there = names.flatMap((name) => {
    const source = tree.get(name);
    return source ? [{ name, source }] : [];
  });
  return new Map(
    await Promise.all(
      there.map(async ({ name, source }) => [name, await source.read(0, source.size)] as const),
    ),
  );
}

async function opened(
  about: BackboneSource,
  tree: FileTree,
  rest: Pick<OpenBackbone, 'hash' | 'reference' | 'fetch' | 'folder'>,
): Promise<OpenBackbone> {
  const read = await readBackbone(tree, about.title);
  return { id: about.id, card: describeBackbone(read.model, about), ...read, ...rest };
}

async function openStored(record: BackboneRecord, files: Files): Promise<OpenBackbone> {
  const { id, name, hub } = record;
  const path = (file: string) => `${folderOf(id)}${file}`;
  const tree = new Map<string, ByteSource>();
  let bytes = 0;
  for (const file of record.files) {
    const size = (await files.size(path(file))) ?? 0;
    if (isWeights(file)) bytes += size;
    tree.set(file, { size, read: (begin, end) => files.readRange(path(file), begin, end) });
  }
  const about: BackboneSource = {
    id,
    title: name,
    about: hub
      ? 'A model that you loaded from a hub; it stays in this browser.'
      : 'A model that you dropped on this page; it stays in this browser.',
    licence: 'as at its source',
    source: hub ? sourceText(hub) : 'your own files',
    bytes,
  };
  const whole = async (file: string) => {
    const found = await files.read(path(file));
    if (!found)
      throw new BackboneError(`"${name}" has no file ${file}.`, 'Load it again, or drop its folder again.');
    return [file, found] as const;
  };
  const folder = async () => new Map(await Promise.all(record.files.map(whole)));
  return opened(about, tree, { hash: record.hash, reference: null, fetch: async () => undefined, folder });
}

function openEmbedded(embedded: EmbeddedBackbone, asset: AssetUrl): Promise<OpenBackbone> {
  const { id, folder: where, files } = embedded;
  const remote = new Map(
    files.map(({ file, bytes, sha256: hash }) => [file, new RemoteFile(asset(where, file), bytes, hash)]),
  );
  const graph = files.find(({ file }) => file === 'model.onnx') ?? null;
  const kept = files.map(({ file }) => file).filter((file) => file !== graph?.file);
  return opened(embedded, remote, {
    hash: files.find((entry) => entry.file === 'model.safetensors')!.sha256,
    reference: graph && {
      id,
      graphUrl: asset(where, graph.file),
      weightsUrl: asset(where, 'model.safetensors'),
    },
    fetch: async (report) => {
      await remote.get('model.safetensors')!.whole(report);
    },
    folder: async () =>
      new Map(await Promise.all(kept.map(async (file) => [file, await remote.get(file)!.whole()] as const))),
  });
}
