import { lazySource } from '../checkpoints/bytes.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { type ByteSource, type Checkpoint, readSafetensors } from '../checkpoints/safetensors.ts';
import { readTorch } from '../checkpoints/torch.ts';
import { baseName, type FileEntry, folderName, isJunk, normalPath, sourceOf } from '../data/entry.ts';
import { makeZip } from '../data/zip.ts';
import { AdapterError } from './adapter.ts';
import { isKohya } from './kohya.ts';
import { nativeName } from './native.ts';
import type { PeftFiles } from './peft.ts';

/** Where the file for transformers 4 lies within an adapter whose family was renamed: PEFT's `subfolder=`. */
export const olderFolder = 'transformers-4';

/** What goes into a download. */
export interface AdapterParts {
  /** Absent where PEFT has no form for it. */
  readonly adapter?: PeftFiles;
  /** `graft.safetensors`, where PEFT's file alone does not bring the method back. */
  readonly native?: Uint8Array;
  /** The same adapter for transformers 4, where names differ. */
  readonly older?: PeftFiles;
  /** `README.md`. */
  readonly card: string;
  readonly preprocessor?: JsonObject;
  /** Files of the tokenizer by name, for a base that reads text. */
  readonly tokenizer?: ReadonlyMap<string, Uint8Array>;
  /** Class names in the order of the head's outputs. */
  readonly labels: readonly string[];
  /** Summary of the run. */
  readonly run: JsonObject;
  /** The frozen base: its files by name, and the script that loads both. */
  readonly base?: { readonly files: ReadonlyMap<string, Uint8Array>; readonly loader: string };
}

const text = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** The zip of an adapter. Same parts, same bytes. */
export function buildAdapterZip(parts: AdapterParts): Uint8Array {
  const files = new Map<string, Uint8Array | string>([['README.md', parts.card]]);
  if (parts.adapter) {
    files.set('adapter_config.json', text(parts.adapter.config));
    files.set('adapter_model.safetensors', parts.adapter.weights);
  }
  if (parts.native) files.set(nativeName, parts.native);
  if (parts.preprocessor) files.set('preprocessor_config.json', text(parts.preprocessor));
  for (const [name, bytes] of parts.tokenizer ?? []) files.set(name, bytes);
  if (parts.labels.length) files.set('labels.json', text(parts.labels));
  files.set('run.json', text(parts.run));
  if (parts.older) {
    files.set(`${olderFolder}/adapter_config.json`, text(parts.older.config));
    files.set(`${olderFolder}/adapter_model.safetensors`, parts.older.weights);
  }
  if (parts.base) {
    files.set('load.py', parts.base.loader);
    for (const [name, bytes] of parts.base.files) files.set(`base/${name}`, bytes);
  }
  return makeZip(files);
}

/** An adapter as it was found in a folder or an opened zip, made here or elsewhere. */
export interface AdapterFolder {
  /** PEFT's two files; absent where the method has none. */
  readonly peft?: { readonly config: JsonObject; readonly checkpoint: Checkpoint };
  /** `graft.safetensors`. */
  readonly native?: Checkpoint;
  /** A file of kohya's layout, which comes alone. */
  readonly kohya?: Checkpoint;
  readonly preprocessor?: JsonObject;
  readonly labels?: string[];
  readonly run?: JsonObject;
  readonly card?: string;
  /** Files of the base that came along, by name. */
  readonly base: ReadonlyMap<string, ByteSource>;
}

/** A configuration or card above this is not read. */
const maxText = 16 * 2 ** 20;

/**
 * Finds and opens the adapter among files: the `adapter_config.json` or `graft.safetensors` nearest the root, and what
 * lies beside it.
 * Throws `AdapterError` or `CheckpointError` that says what is missing or wrong.
 */
export async function readAdapter(entries: readonly FileEntry[]): Promise<AdapterFolder> {
  const files = new Map(
    entries.map((entry) => [normalPath(entry.path), entry]).filter(([path]) => !isJunk(path as string)) as [
      string,
      FileEntry,
    ][],
  );
  const depth = (path: string) => path.split('/').length;
  const configs = [...files.keys()].filter((path) =>
    ['adapter_config.json', nativeName].includes(baseName(path)),
  );
  const path = configs.sort((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1))[0];
  const alone = path === undefined ? await loneKohya([...files.values()]) : null;
  if (alone) return { kohya: alone, base: new Map() };
  if (path === undefined)
    throw new AdapterError(
      `There is neither adapter_config.json nor ${nativeName} among the files; choose the folder or zip that was saved.`,
    );
  const root = folderName(path) === '' ? '' : `${folderName(path)}/`;
  const beside = (name: string) => files.get(root + name);
  const json = async (name: string) => {
    const entry = beside(name);
    return entry && parseJson(name, await readText(name, entry));
  };
  const native = beside(nativeName);
  const config = asObject('adapter_config.json', await json('adapter_config.json'));
  const weights = beside('adapter_model.safetensors');
  const pickled = beside('adapter_model.bin');
  if (config && !weights && !pickled)
    throw new AdapterError(
      'adapter_model.safetensors is not beside adapter_config.json; choose the whole folder or zip.',
    );
  const card = beside('README.md');
  const labels = await json('labels.json');
  return {
    peft: config && {
      config,
      checkpoint: weights
        ? await readSafetensors(sourceOf(weights), 'adapter_model.safetensors')
        : await readTorch(sourceOf(pickled!), 'adapter_model.bin'),
    },
    native: native && (await readSafetensors(sourceOf(native), nativeName)),
    preprocessor: asObject('preprocessor_config.json', await json('preprocessor_config.json')),
    labels: labels === undefined ? undefined : asLabels(labels),
    run: asObject('run.json', await json('run.json')),
    card: card && (await readText('README.md', card)),
    base: baseFiles(files, `${root}base/`),
  };
}

/** The first file among these whose tensors carry kohya's names. */
async function loneKohya(entries: readonly FileEntry[]): Promise<Checkpoint | null> {
  for (const entry of entries.filter((e) => /\.safetensors$/i.test(e.path)).slice(0, 8)) {
    const file = await readSafetensors(sourceOf(entry), baseName(entry.path));
    if (isKohya(file.names())) return file;
  }
  return null;
}

function baseFiles(files: ReadonlyMap<string, FileEntry>, folder: string): Map<string, ByteSource> {
  const base = new Map<string, ByteSource>();
  for (const [path, entry] of files) {
    if (path.startsWith(folder))
      base.set(path.slice(folder.length), entry.source ?? lazySource(entry.size, () => entry.bytes()));
  }
  return base;
}

async function readText(name: string, entry: FileEntry): Promise<string> {
  if (entry.size > maxText)
    throw new AdapterError(
      `${name} has ${entry.size} bytes, too many for a file of its kind; it does not belong to an adapter.`,
    );
  return new TextDecoder().decode(await entry.bytes());
}

function parseJson(name: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new AdapterError(`${name} is not valid JSON (${(error as Error).message}); fetch it again.`);
  }
}

function asObject(name: string, value: unknown): JsonObject | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new AdapterError(`${name} is not a JSON object; fetch it again.`);
}

/** A list of names, or an object from index to name as transformers' `id2label` is. */
function asLabels(value: unknown): string[] {
  const list = Array.isArray(value) ? value : Object.values(value ?? {});
  if (list.length > 0 && list.every((name) => typeof name === 'string')) return list;
  throw new AdapterError('labels.json is not a list of class names; fetch it again.');
}
