import type { HubFile, HubListing } from './client.ts';
import { HubError } from './errors.ts';

/** Files beside the weights that are wanted where a model has them. */
const beside = new Set([
  'config.json',
  'preprocessor_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'spiece.model',
  'sentencepiece.bpe.model',
  'tokenizer.model',
  'chat_template.jinja',
  'chat_template.json',
]);

/** Weights as one file, or the index of several; safetensors before pickles. */
const single = ['model.safetensors', 'pytorch_model.bin'];
const indexed = ['model.safetensors.index.json', 'pytorch_model.bin.index.json'];

export interface Choice {
  /** `config.json` and what lies beside it, the index of shards among them. */
  readonly small: readonly HubFile[];
  /** The file of weights; null where an index names them. */
  readonly weights: HubFile | null;
  readonly index: HubFile | null;
}

/** What of a model's files is fetched. Throws `HubError` where it lacks what is needed. */
export function choose({ files }: HubListing, id: string): Choice {
  const known = new Map(files.map((file) => [file.path, file]));
  if (!known.has('config.json'))
    throw new HubError(
      `${id} has no config.json, so nothing tells what its weights are.`,
      'Choose a model that is saved for the transformers library, or timm’s classifiers.',
    );
  // Config first: a family that is not served is refused before anything else is fetched.
  const small = files
    .filter(({ path }) => beside.has(path))
    .sort((a, b) => Number(b.path === 'config.json') - Number(a.path === 'config.json'));
  for (let i = 0; i < single.length; i++) {
    const weights = known.get(single[i]);
    if (weights) return { small, weights, index: null };
    const index = known.get(indexed[i]);
    if (index) return { small: [...small, index], weights: null, index };
  }
  throw new HubError(
    `${id} has neither ${single.join(' nor ')}, whole or in shards.`,
    'Choose a revision that has model.safetensors.',
  );
}

/** The shards that an index names. Throws `HubError` where one is not among the model's files. */
export function shardsOf(index: Uint8Array, file: string, { files }: HubListing): HubFile[] {
  const known = new Map(files.map((listed) => [listed.path, listed]));
  let map: unknown;
  try {
    map = JSON.parse(new TextDecoder().decode(index)).weight_map;
  } catch {
    map = undefined;
  }
  const names = map && typeof map === 'object' ? [...new Set(Object.values(map))] : [];
  if (names.length === 0 || !names.every((name) => typeof name === 'string'))
    throw new HubError(`${file} names no shards.`, 'Choose another revision of the model.');
  return (names as string[]).map((name) => {
    const shard = known.get(name);
    // A plain name: it becomes a name in the storage.
    if (shard && /^[\w.-]+$/.test(name)) return shard;
    throw new HubError(
      `${file} names the shard “${name}”, which the model does not have.`,
      'Choose another revision of the model.',
    );
  });
}
