import type { JsonObject } from '../checkpoints/folder.ts';
import type { Checkpoint } from '../checkpoints/safetensors.ts';
import type { LowRankUpdate } from '../methods/method.ts';
import { type AdapterContent, AdapterError } from './adapter.ts';
import { noTargets } from './peft.ts';

/** Starts that leave the base weights as they are; with any other, the file alone does not say what was trained. */
const plainStarts = [undefined, null, true, false, 'gaussian', 'eva', 'orthogonal'];

/** Options that change what the tensors mean, with the value that switches them off. */
const unreadable: Record<string, unknown> = {
  use_dora: false,
  use_qalora: false,
  use_bdlora: null,
  lora_bias: false,
  layer_replication: null,
  target_parameters: null,
  trainable_token_indices: null,
  alora_invocation_tokens: null,
  kasa_config: null,
  velora_config: null,
  monteclora_config: null,
  arrow_config: null,
};

/**
 * Reads a PEFT LoRA file: updates with the scale that the configuration gives them (`lora_alpha`, `use_rslora`,
 * `rank_pattern`, `alpha_pattern`), and modules saved whole. Keys keep the module names of the file. Throws
 * `AdapterError` for other kinds of adapter and for options that are not read, by their names.
 */
export async function fromPeft(config: JsonObject, checkpoint: Checkpoint): Promise<AdapterContent> {
  refuseUnreadable(config);
  const saved = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const pairs = new Map<string, Partial<Record<'A' | 'B', string>>>();
  for (const key of checkpoint.names()) {
    const path = key.replace(/^base_model\.model\./, '');
    const factor = /^(.*)\.lora_([AB])(?:\.default)?\.weight$/.exec(path);
    if (factor) {
      const pair = pairs.get(factor[1]) ?? {};
      pair[factor[2] as 'A' | 'B'] = key;
      pairs.set(factor[1], pair);
    } else if (/\.?lora_|\.base_layer\./.test(path)) {
      throw new AdapterError(
        `The adapter holds "${key}", a kind of LoRA tensor that is not read here; layers of matrices and convolutions are.`,
      );
    } else saved.set(path, await tensorOf(checkpoint, key));
  }
  if (pairs.size === 0 && config.target_modules !== noTargets)
    throw new AdapterError(
      'adapter_model.safetensors holds no LoRA factors (lora_A, lora_B); it does not belong to this adapter_config.json.',
    );
  const updates: LowRankUpdate[] = [];
  for (const [path, { A, B }] of pairs) {
    if (!A || !B)
      throw new AdapterError(
        `The adapter has lora_${A ? 'A' : 'B'} but not lora_${A ? 'B' : 'A'} for ${path}; the file is incomplete, fetch it again.`,
      );
    const [a, b] = [await tensorOf(checkpoint, A), await tensorOf(checkpoint, B)];
    updates.push({ path, a, b, scale: scaleOf(config, path, checkShapes(path, a.shape, b.shape)) });
  }
  return { updates, saved };
}

/** Throws `AdapterError` for what is no LoRA, and for options that are not read, but for those named in `read`. */
export function refuseUnreadable(config: JsonObject, read: readonly string[] = []): void {
  const type = config.peft_type;
  if (type !== 'LORA') {
    const found = typeof type === 'string' ? `of type ${type}` : 'without a peft_type';
    throw new AdapterError(
      `adapter_config.json describes an adapter ${found}; only LORA is read so far. Merge it into its base with PEFT, or convert it to LoRA.`,
    );
  }
  for (const [key, off] of Object.entries(unreadable)) {
    const value = config[key];
    const isOff =
      value === undefined || value === off || value === null || (Array.isArray(value) && value.length === 0);
    if (!isOff && !read.includes(key))
      throw new AdapterError(
        `adapter_config.json sets ${key}, which is not read here; merge the adapter into its base with PEFT instead.`,
      );
  }
  if (config.bias !== undefined && config.bias !== 'none') {
    throw new AdapterError(
      `adapter_config.json trains biases (bias: "${config.bias}"), which is not read here; train it with bias "none".`,
    );
  }
  const start = config.init_lora_weights;
  if (!plainStarts.includes(start as string)) {
    throw new AdapterError(
      `adapter_config.json starts with init_lora_weights "${start}", which changes the base weights; save it with path_initial_model_for_weight_conversion in PEFT, which makes it a plain LoRA.`,
    );
  }
}

async function tensorOf(checkpoint: Checkpoint, key: string) {
  return { shape: checkpoint.info(key).shape, data: await checkpoint.f32(key) };
}

/** The rank that both factors share. */
function checkShapes(path: string, a: readonly number[], b: readonly number[]): number {
  const fits =
    a.length === b.length &&
    (a.length === 2 || a.length === 4) &&
    a[0] === b[1] &&
    b.slice(2).every((n) => n === 1);
  if (fits) return a[0];
  throw new AdapterError(
    `The factors of ${path}, [${a.join(', ')}] and [${b.join(', ')}], do not make one update; the file is damaged or of a kind that is not read.`,
  );
}

/** PEFT matches a pattern's key, a regular expression, against the end of a path, from a dot on; the first that fits. */
function patternValue(pattern: unknown, path: string): number | undefined {
  if (typeof pattern !== 'object' || pattern === null) return undefined;
  for (const [key, value] of Object.entries(pattern)) {
    if (matches(key, path) && typeof value === 'number') return value;
  }
  return undefined;
}

function matches(key: string, path: string): boolean {
  // A pattern from a file may be made to run for ever; plain and escaped paths, which is what is written, need no engine.
  const plain = key.replace(/^\^|\$$/g, '').replace(/\\(.)/g, '$1');
  if (/^[\w.\-\\^$]+$/.test(key)) return path === plain || path.endsWith(`.${plain}`);
  if (key.length > 200 || /[+*}]\)?[+*{]/.test(key)) {
    throw new AdapterError(
      `adapter_config.json has the pattern "${key.slice(0, 60)}", too intricate to be read; write full module paths.`,
    );
  }
  try {
    return new RegExp(`^(.*\\.)?(${key})$`).test(path);
  } catch {
    throw new AdapterError(
      `adapter_config.json has the pattern "${key}", which is no regular expression that is understood here; write full module paths.`,
    );
  }
}

/** What a configuration multiplies the product of a module's factors by. Throws `AdapterError` where the rank differs. */
export function scaleOf(config: JsonObject, path: string, rank: number): number {
  const r = patternValue(config.rank_pattern, path) ?? config.r ?? 8;
  if (r !== rank)
    throw new AdapterError(
      `adapter_config.json gives ${path} rank ${r}, but its tensors have rank ${rank}; the two files do not belong together.`,
    );
  const alpha = patternValue(config.alpha_pattern, path) ?? config.lora_alpha ?? 8;
  if (typeof alpha !== 'number' || !Number.isFinite(alpha))
    throw new AdapterError(
      `adapter_config.json has lora_alpha ${JSON.stringify(alpha)}, which is no number.`,
    );
  return config.use_rslora ? alpha / Math.sqrt(rank) : alpha / rank;
}
