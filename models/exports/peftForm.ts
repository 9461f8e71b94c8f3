import type { JsonObject } from '../checkpoints/folder.ts';
import { type Checkpoint, writeSafetensors } from '../checkpoints/safetensors.ts';
import type { PeftContent, Tensors } from '../methods/method.ts';
import { AdapterError } from './adapter.ts';
import type { OlderNames } from './names.ts';
import type { PeftFiles, PeftOptions } from './peft.ts';

const prefix = 'base_model.model.';

/** PEFT's types that have a word for weights kept as [in, out]. */
const turnedTypes = ['ADALORA', 'IA3', 'LORA', 'OFT', 'VERA'];

/** The files of one of PEFT's types: what the method wrote, and the modules saved whole beside it. */
export function formFiles(content: PeftContent, saved: Tensors, options: PeftOptions = {}): PeftFiles {
  const modules = [...new Set([...saved.keys()].map((path) => path.slice(0, path.lastIndexOf('.'))))].sort();
  const config: JsonObject = {
    ...content.config,
    ...(options.fanInFanOut && turnedTypes.includes(content.config.peft_type as string)
      ? { fan_in_fan_out: true }
      : {}),
    task_type: options.taskType ?? null,
    auto_mapping: options.autoMapping ?? null,
    base_model_name_or_path: options.baseModel ?? null,
    inference_mode: true,
    ...(modules.length ? { modules_to_save: modules } : {}),
  };
  // What PEFT shares among modules it keeps beside the model, under a full name.
  const keyOf = (name: string) => (name.startsWith('base_model.') ? name : prefix + name);
  const tensors = [...content.tensors, ...saved].map(([name, { shape, data }]) => ({
    name: keyOf(name),
    shape: [...shape],
    data: content.integers && name.endsWith(content.integers) ? Int32Array.from(data) : data,
  }));
  return { config, weights: writeSafetensors(tensors, { format: 'pt', ...options.metadata }) };
}

/** Reads such files; `saved` is what lies under the head. */
export async function readForm(
  config: JsonObject,
  checkpoint: Checkpoint,
  isHead: (name: string) => boolean,
): Promise<{ content: PeftContent; saved: Tensors }> {
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const saved = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const key of checkpoint.names()) {
    const name = key.startsWith(prefix) ? key.slice(prefix.length) : key;
    // Where it trains biases, PEFT writes those of a module that it saves whole twice more.
    if (/\.(original_module|modules_to_save)\./.test(name)) continue;
    const into = isHead(name) ? saved : tensors;
    into.set(name, { shape: checkpoint.info(key).shape, data: await checkpoint.f32(key) });
  }
  return { content: { config, tensors }, saved };
}

/** The module, among `paths`, that a tensor belongs to: the longest path that its name begins with. */
function ownerOf(name: string, paths: ReadonlySet<string>): string | undefined {
  for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
    const path = name.slice(0, end);
    if (paths.has(path)) return path;
  }
  return undefined;
}

/** The same content with every module renamed; null where a module has no counterpart of its own. */
function renamed(content: PeftContent, rename: ReadonlyMap<string, string | null>): PeftContent | null {
  const paths = new Set(rename.keys());
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, tensor] of content.tensors) {
    const owner = ownerOf(name, paths);
    const to = owner === undefined ? undefined : rename.get(owner);
    if (to === null) return null;
    tensors.set(owner === undefined ? name : `${to}${name.slice(owner.length)}`, tensor);
  }
  const nameOf = (name: string) => {
    const owner = ownerOf(name, paths);
    return owner === undefined ? name : `${rename.get(owner) ?? owner}${name.slice(owner.length)}`;
  };
  const { rank_pattern: pattern, ...others } = content.config;
  const config: JsonObject = Object.fromEntries(
    Object.entries(others).map(([key, value]) => [
      key,
      Array.isArray(value) ? value.map((v) => (typeof v === 'string' ? (rename.get(v) ?? v) : v)) : value,
    ]),
  );
  // AdaLoRA's names its tensors in full.
  if (pattern)
    config.rank_pattern = Object.fromEntries(
      Object.entries(pattern as JsonObject).map(([name, ranks]) => [nameOf(name), ranks]),
    );
  return { ...content, config, tensors };
}

/**
 * The same content under the names of transformers 4; null where one older module holds several of today's, which no
 * type but LoRA can express.
 */
export function olderForm(
  content: PeftContent,
  paths: readonly string[],
  names: OlderNames,
): PeftContent | null {
  return renamed(
    content,
    new Map(paths.map((path) => [path, names.diskPart?.(path) ? null : names.diskName(path)])),
  );
}

/** Content under either generation's names, under today's. Throws `AdapterError` where a name is of neither. */
export function todaysForm(content: PeftContent, paths: readonly string[], names: OlderNames): PeftContent {
  const older = new Map(
    paths.map((path) => [names.diskName(path), names.diskPart?.(path) ? null : path] as const),
  );
  const known = new Set(paths);
  const own = [...content.tensors.keys()].filter((name) => !name.startsWith('base_model.'));
  if (own.every((name) => ownerOf(name, known))) return content;
  const found = own.every((name) => ownerOf(name, new Set(older.keys()))) ? renamed(content, older) : null;
  if (found) return found;
  const strange = own.find((name) => !ownerOf(name, known));
  throw new AdapterError(
    `The adapter holds '${strange}', which belongs to no module of this backbone; choose the backbone that it was trained on.`,
  );
}
