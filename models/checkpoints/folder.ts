import type { ByteSource } from './bytes.ts';
import { Checkpoint, joinShards, readSafetensors, readSharded } from './checkpoint.ts';
import { CheckpointError } from './errors.ts';
import { weightsKind } from './kind.ts';
import { readTorch } from './torch.ts';

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
 * Opens a Hugging Face folder: `config.json`, `preprocessor_config.json` where there is one, and the weights:
 * `model.safetensors` or its sharded index, else what `torch.save` wrote, of which only tensors are read. Headers are
 * read, weights are not. Throws `CheckpointError` that says what is missing or refused.
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
  return { config, preprocessor, checkpoint: await openWeights(files, config) };
}

const pickles = ['pytorch_model.bin', 'pytorch_model.bin.index.json'] as const;

async function openWeights(files: FileTree, config: JsonObject): Promise<Checkpoint> {
  if (config.model_type === 'onnx') return openGraph(files);
  const single = files.get('model.safetensors');
  if (single) return openFile(single, 'model.safetensors');
  const index = files.get('model.safetensors.index.json');
  if (index)
    return readSharded(await readWhole(index, 'model.safetensors.index.json'), (shard) => files.get(shard));
  const pickled = files.get(pickles[0]);
  if (pickled) return openFile(pickled, pickles[0]);
  const pickledIndex = files.get(pickles[1]);
  if (pickledIndex)
    return joinShards(
      await readWhole(pickledIndex, pickles[1]),
      (shard) => files.get(shard),
      readTorch,
      pickles[1],
    );
  const others = [...files].filter(([path]) => /\.(safetensors|bin|pt|pth|ckpt)$/i.test(path));
  if (others.length === 1) return openFile(others[0][1], others[0][0]);
  throw new CheckpointError(
    'model.safetensors',
    `it is not among the files (${listed(files)}); save the model with save_pretrained, which writes it.`,
  );
}

/** A graph that runs as it is: a checkpoint of its bytes, and of those of the files that its weights lie in. */
function openGraph(files: FileTree): Checkpoint {
  const path = [...files.keys()].find((name) => /\.onnx$/i.test(name));
  if (!path) throw new CheckpointError('model.onnx', `it is not among the files (${listed(files)}); add it.`);
  const source = files.get(path)!;
  const info = { name: 'graph', dtype: 'U8', shape: [source.size], begin: 0, end: source.size } as const;
  return new Checkpoint(
    new Map([['graph', { info: { ...info, shape: [...info.shape] }, source, file: path }]]),
    new Map(),
  );
}

/** Opens one file of weights by what it is, whatever it is called. */
async function openFile(source: ByteSource, path: string): Promise<Checkpoint> {
  const kind = await weightsKind(source, path);
  if (kind === 'pickle') return readTorch(source, path);
  if (kind === 'safetensors') return readSafetensors(source, path);
  if (path.endsWith('.safetensors')) return readSafetensors(source, path);
  throw new CheckpointError(
    path,
    `it is ${kind === 'unknown' ? 'neither safetensors nor what torch.save writes' : `a file of ${kind}`}, which is not read as a backbone's weights; save the model with save_pretrained.`,
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

/** A JSON object of the tree; undefined where there is none of that name. Throws `CheckpointError`. */
export async function readJson(files: FileTree, path: string): Promise<JsonObject | undefined> {
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
