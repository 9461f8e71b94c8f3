import { add, linear, matmul, mul, pad, reshape, slice, sub, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { ModulePreset } from '../describe.ts';
import type { Scope } from '../scope.ts';
import { ConfigError, type SampleInput, type SampleSize } from './backbone.ts';

export { classToken as firstToken } from './visionTransformer.ts';

/** Added to the scores of what may not be seen. */
const HIDDEN = 1e9;

/** The tensors of one text: tokens and their mask, then those of `others` (`types`, `decoder_ids`). */
export const textInputs = (size: number, ...others: readonly string[]): SampleInput[] => [
  { name: 'ids', shape: [size], dtype: 'u32' },
  { name: 'mask', shape: [size], dtype: 'f32' },
  ...others.map((name) => ({ name, shape: [size], dtype: 'u32' }) as const),
];

/** Lengths of texts for a model that reads at most `most` tokens. */
export const tokenSize = (most: number): SampleSize => ({
  default: Math.min(128, most),
  min: 1,
  max: most,
  multiple: 1,
  unit: 'tokens',
});

/** Throws `ConfigError` where width and heads do not fit. */
export function checkHeads(hidden: number, heads: number): void {
  if (hidden % heads)
    throw new ConfigError(
      `config.json has ${heads} attention heads, which ${hidden} features cannot be shared by.`,
    );
}

/** Throws `ConfigError` for a text of more tokens than the model has positions for. */
export function checkLength(tokens: number, most: number): void {
  if (tokens > most)
    throw new ConfigError(
      `The model reads at most ${most} tokens, and ${tokens} were asked for. Choose shorter texts, or fewer learnt tokens.`,
    );
}

/** The mask [B, T] of a text that learnt tokens were put before, so that x [B, T + n, D] is seen by it. */
export function maskOf(x: Tensor, mask: Tensor): Tensor {
  return pad(mask, [0, x.shape[1] - mask.shape[1]], [0, 0], 1);
}

/** Attention bias [B, 1, 1, T] that hides padding: 0 for a token, -1e9 for none. */
export function paddingBias(mask: Tensor): Tensor {
  const [batch, tokens] = mask.shape;
  return reshape(mul(sub(mask, 1), HIDDEN), [batch, 1, 1, tokens]);
}

/** The first `count` rows of a table of learnt positions, from row `from` on: [count, D]. */
export function learntPositions(scope: Scope, name: string, count: number, from = 0): Tensor {
  const table = scope.child(name).weight('weight');
  checkLength(count, table.shape[0] - from);
  return slice(table, [from, 0], [count, table.shape[1]]);
}

/** Hidden states x [B, n + T, D] without those of n learnt tokens in front. */
export function withoutLearnt(x: Tensor, tokens: number): Tensor {
  const [batch, all, width] = x.shape;
  return slice(x, [0, all - tokens, 0], [batch, tokens, width]);
}

/** The last token of each text in x [B, T, D] that is no padding; the mask [B, T] is ones, then zeros. [B, D]. */
export function lastToken(x: Tensor, mask: Tensor): Tensor {
  const [batch, tokens, width] = x.shape;
  const next = pad(slice(mask, [0, 1], [batch, tokens - 1]), [0, 0], [0, 1]);
  const chosen = reshape(sub(mask, next), [batch, 1, tokens]);
  return reshape(matmul(chosen, x), [batch, width]);
}

/**
 * Logits over a vocabulary: x [..., D] times the matrix `own` [V, D] where the file has one, else the embeddings
 * `tied`, whose rows then serve both ways. No method adapts it, as none of PEFT's does unless told to by name.
 */
export function vocabularyLogits(
  root: Scope,
  x: Tensor,
  { own, tied, bias }: { own: string; tied: string; bias?: readonly string[] },
): Tensor {
  const logits = linear(x, root.weight(root.has(own) ? own : tied));
  const shift = bias?.find((name) => root.has(name));
  return shift ? add(logits, reshape(root.weight(shift), [-1])) : logits;
}

/** Targets of a family of text models: PEFT's own choice first. `block` gives the path of a block. */
export function textPresets(
  blocks: number,
  block: (i: number) => string,
  names: {
    usual: { label: string; targets: string[] };
    attention: string[];
    mlp: string[];
  },
): ModulePreset[] {
  const last = Math.ceil(blocks / 3);
  const inLast = Array.from({ length: last }, (_, i) => block(blocks - last + i)).flatMap((path) =>
    [...names.attention, ...names.mlp].map((name) => `${path}.${name}`),
  );
  return [
    { id: 'usual', ...names.usual },
    { id: 'attention', label: 'Attention', targets: names.attention },
    { id: 'all-linear', label: 'All linear layers', targets: ['all-linear'] },
    {
      id: 'last-blocks',
      label:
        last === 1 ? 'All linear layers of the last block' : `All linear layers of the last ${last} blocks`,
      targets: inLast,
    },
  ];
}

/** The id under `key`, the first of a list; `fallback` where it is absent or null. Throws `ConfigError`. */
export function readId(config: JsonObject, key: string, fallback: number): number {
  const given = config[key] ?? fallback;
  const value = Array.isArray(given) ? given[0] : given;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw new ConfigError(
    `config.json has ${key} = ${JSON.stringify(given)}; the number of a token is needed there.`,
  );
}
