import type { JsonObject } from '../checkpoints/folder.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { type AdapterContent, AdapterError, folded, rankOf } from './adapter.ts';

/** What the file says beside its tensors. */
export interface PeftOptions {
  /** Where the base model lies: a hub id or a folder. */
  readonly baseModel?: string;
  /** PEFT's own word for the task, e.g. `CAUSAL_LM`. */
  readonly taskType?: string;
  /** Class and module of the base, which `AutoPeftModel` reads, e.g. `ViTForImageClassification`. */
  readonly autoMapping?: { readonly base_model_class: string; readonly parent_library: string };
  /** Whether the base keeps the adapted layers' weights as [in, out]; PEFT tells of it otherwise. */
  readonly fanInFanOut?: boolean;
  /** Whether alpha / r is multiplied into B, which every reader agrees on, or kept apart, as training needs it. */
  readonly alpha?: 'folded' | 'as trained';
  /** Facts about the training, such as the alpha it used; kept in the safetensors header. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The two files of a PEFT adapter. */
export interface PeftFiles {
  readonly config: JsonObject;
  /** `adapter_model.safetensors`. */
  readonly weights: Uint8Array;
}

const prefix = 'base_model.model.';

/** PEFT's own word for a LoRA that adapts no module and only carries those saved whole. */
export const noTargets = 'dummy-target-modules';

/**
 * An adapter as PEFT's LoRA files. The scale alpha / r is multiplied into B and `lora_alpha` set to r, so that every
 * reader gets the same update whatever it knows of alpha. `target_modules` are full paths, which match nothing else.
 * Ranks that differ by module go into `rank_pattern` and `alpha_pattern`. No key is written that PEFT before 0.14
 * does not know. A head alone is a LoRA without targets. Throws `AdapterError` where there is nothing to write.
 */
export function toPeft(content: AdapterContent, options: PeftOptions = {}): PeftFiles {
  const apart = options.alpha === 'as trained';
  const updates = apart ? [...content.updates] : content.updates.map(folded);
  if (updates.length === 0 && content.saved.size === 0)
    throw new AdapterError('There is nothing to save: no module was adapted, and none was trained whole.');
  const r = updates.length ? commonRank(updates.map(rankOf)) : 1;
  const others = updates.filter((update) => rankOf(update) !== r);
  const pattern = Object.fromEntries(others.map((update) => [escapePath(update.path), rankOf(update)]));
  const modules = [...new Set([...content.saved.keys()].map(parentOf))].sort();
  const config: JsonObject = {
    peft_type: 'LORA',
    task_type: options.taskType ?? null,
    auto_mapping: options.autoMapping ?? null,
    base_model_name_or_path: options.baseModel ?? null,
    inference_mode: true,
    r,
    lora_alpha: apart && updates.length ? r * updates[0].scale : r,
    ...(options.fanInFanOut ? { fan_in_fan_out: true } : {}),
    target_modules: updates.length ? updates.map((update) => update.path).sort() : noTargets,
    ...(others.length > 0 ? { rank_pattern: pattern, alpha_pattern: pattern } : {}),
    ...(modules.length > 0 ? { modules_to_save: modules } : {}),
  };
  const tensors = updates.flatMap(({ path, a, b }) => [
    { name: `${prefix}${path}.lora_A.weight`, ...a },
    { name: `${prefix}${path}.lora_B.weight`, ...b },
  ]);
  const saved = [...content.saved].map(([path, tensor]) => ({ name: prefix + path, ...tensor }));
  return { config, weights: writeSafetensors([...tensors, ...saved], { format: 'pt', ...options.metadata }) };
}

/** The rank that most modules have; the smallest of those that tie. */
function commonRank(ranks: readonly number[]): number {
  const count = (rank: number) => ranks.filter((other) => other === rank).length;
  return [...new Set(ranks)].sort((a, b) => count(b) - count(a) || a - b)[0];
}

/** PEFT reads the keys of patterns as regular expressions. */
function escapePath(path: string): string {
  return path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('.'));
}

/** The module that a key of a PEFT file belongs to, without PEFT's prefix and the parameter's own name. */
export function moduleOf(key: string): string {
  const path = key.startsWith(prefix) ? key.slice(prefix.length) : key;
  return path.replace(/\.lora_[AB](\.default)?\.weight$/, '').replace(/\.(weight|bias)$/, '');
}

/**
 * Checks that every key of a file names a module of the model. Throws `AdapterError` that lists those that do not, and
 * what the model has under the same last name.
 */
export function checkKeys(keys: readonly string[], modulePaths: Iterable<string>): void {
  const known = new Set(modulePaths);
  const strange = [...new Set(keys.map(moduleOf))].filter((path) => !known.has(path));
  if (strange.length === 0) return;
  const shown =
    strange.slice(0, 5).join(', ') + (strange.length > 5 ? ` and ${strange.length - 5} more` : '');
  const last = strange[0].split('.').at(-1);
  const alike = [...known].find((path) => path.split('.').at(-1) === last) ?? [...known][0] ?? 'none';
  throw new AdapterError(
    `The adapter is for modules that this backbone does not have: ${shown}. The backbone's are named like ${alike}; choose the backbone that the adapter was trained on.`,
  );
}
