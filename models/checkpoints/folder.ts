import type { ByteSource } from './bytes.ts';
import { type Checkpoint, readSafetensors, readSharded } from './checkpoint.ts';
import { CheckpointError } from './errors.ts';
import { conversionLine, weightsKind } from './pickle.ts';

/** Files of a folder by their path within it, `/` between parts. */
export type FileTree = ReadonlyMap<string, ByteSource>;

export type JsonObject = Record<string, unknown>;

/** A model as Hugging Face's libraries save it. */
export interface HuggingFaceFolder {
  /** `config.json`. */
  readonly config: JsonObject;
  /** `preprocessor_config.json`; undefined where the folder has none. */
  readonly preprocessor: JsonObject | undefined;
  readonly checkpoint: Checkpoint;
}

/** A JSON file larger than this is no configuration; reading it whole would only cost memory. */
const maxJson = 64_000_000;

/**
 * Opens a Hugging Face folder: `config.json`, `preprocessor_config.json` where there is one, and `model.safetensors`
 * or its sharded index. Headers are read, weights are not. Throws `CheckpointError` that says what is missing; a
 * folder with pickled weights only is refused by the file's name, with the line that converts it.
 */
export async function openFolder(files: FileTree): Promise<HuggingFaceFolder> {
  const config = await readJson(files, 'config.json');
  if (!config) {
    throw new CheckpointError(
      'config.json',
      `it is not among the files (${listed(files)}); choose the folder that holds config.json and model.safetensors.`,
    );
  }
  const preprocessor = await readJson(files, 'preprocessor_config.json');
  return { config, preprocessor, checkpoint: await openWeights(files) };
}

async function openWeights(files: FileTree): Promise<Checkpoint> {
  const single = files.get('model.safetensors');
  if (single) {
    await refusePickle(single, 'model.safetensors');
    return readSafetensors(single);
  }
  const index = files.get('model.safetensors.index.json');
  if (index)
    return readSharded(await readWhole(index, 'model.safetensors.index.json'), (shard) => files.get(shard));
  for (const [path, source] of files) if (!path.endsWith('.json')) await refusePickle(source, path);
  throw new CheckpointError(
    'model.safetensors',
    `it is not among the files (${listed(files)}); save the model with save_pretrained, which writes it.`,
  );
}

async function refusePickle(source: ByteSource, path: string): Promise<void> {
  if ((await weightsKind(source, path)) !== 'pickle') return;
  throw new CheckpointError(
    path,
    `it is a Python pickle, which can run code when it is loaded, so it is not opened. Convert it where you trust it: ${conversionLine(path)}`,
  );
}

async function readWhole(source: ByteSource, file: string): Promise<Uint8Array> {
  if (source.size > maxJson) {
    throw new CheckpointError(
      file,
      `it has ${source.size} bytes, too many for a JSON file of this kind; fetch it again.`,
    );
  }
  return source.read(0, source.size);
}

async function readJson(files: FileTree, path: string): Promise<JsonObject | undefined> {
  const source = files.get(path);
  if (!source) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await readWhole(source, path)));
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(path, `it is not valid JSON (${(error as Error).message}); fetch it again.`);
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as JsonObject;
  throw new CheckpointError(path, 'it is not a JSON object; fetch it again.');
}

function listed(files: FileTree): string {
  const names = [...files.keys()].sort();
  return names.length > 6
    ? `${names.slice(0, 6).join(', ')} and ${names.length - 6} more`
    : names.join(', ') || 'none';
}
