import {
  type Copy,
  input,
  matmul,
  oneHot,
  type Program,
  parameter,
  reshape,
  type State,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { ConfigError } from '../backbones/backbone.ts';
import type { KeyValues } from '../backbones/decoding.ts';
import type { Model } from '../model.ts';
import { type Interception, Scope } from '../scope.ts';

/** Sizes of a step of decoding. */
export interface DecodeShape {
  batch: number;
  /** Tokens of a text that can be remembered. */
  capacity: number;
  /** New tokens of a text in one step: 1, or so many of a prompt. */
  tokens: number;
}

const parts = ['k', 'v'] as const;
const pastName = (block: number, part: 'k' | 'v') => `past.${block}.${part}`;
const rowsName = (block: number, part: 'k' | 'v') => `rows.${block}.${part}`;

/**
 * Traces one step of a causal language model. Inputs: `ids` and `positions` u32 [B, N]; `mask` f32 [B, capacity], 1 where
 * the past holds a token; `last` u32 [B], which of the new tokens is each text's last. Buffers of the state: the past,
 * see `forget`. Outputs: `logits` f32 [B, V] behind those last tokens, and rows for `remember`. Programs of a prompt and of
 * single tokens share one past over one state. Throws `ConfigError` for a backbone that is no causal language model.
 */
export function traceDecode(
  model: Model,
  { batch, capacity, tokens }: DecodeShape,
  interceptions: readonly Interception[] = [],
): Record<string, Tensor> {
  const { backbone, config } = model;
  if (!backbone.decode || !backbone.languageHead)
    throw new ConfigError(
      `${backbone.title} writes no text token by token. Choose a causal language model: GPT-2, Llama, Qwen2 or Mistral.`,
    );
  const width = backbone.decode.width(config);
  const past = Array.from({ length: model.blocks }, (_, block) => {
    const [k, v] = parts.map((part) =>
      parameter(pastName(block, part), [batch, capacity, width], { mutable: true }),
    );
    return { k, v } satisfies KeyValues;
  });
  const root = new Scope({ weights: model.weights(), interceptions });
  const { last, rows } = backbone.decode.forward(
    root,
    {
      ids: input('ids', [batch, tokens], { dtype: 'u32' }),
      positions: input('positions', [batch, tokens], { dtype: 'u32' }),
      mask: input('mask', [batch, capacity]),
      past,
    },
    config,
  );
  const chosen = reshape(oneHot(input('last', [batch], { dtype: 'u32' }), tokens), [batch, 1, tokens]);
  const logits = backbone.languageHead(root, { last: matmul(chosen, last) }, config);
  const outputs: Record<string, Tensor> = { logits: reshape(logits, [batch, -1]) };
  for (const [block, row] of rows.entries())
    for (const part of parts) outputs[rowsName(block, part)] = row[part];
  return outputs;
}

/** Makes room in a state for the past of `batch` texts of up to `capacity` tokens, and empties it. */
export function forget(state: State, model: Model, { batch, capacity }: Omit<DecodeShape, 'tokens'>): void {
  const width = model.backbone.decode!.width(model.config);
  const empty = new Float32Array(batch * capacity * width);
  for (let block = 0; block < model.blocks; block++)
    for (const part of parts) state.setMutable(pastName(block, part), 'f32', empty);
}

/** `count` new tokens of a text, from number `from` of the step on, that the past gets from row `to` on. */
export interface Remembered {
  text: number;
  from: number;
  to: number;
  count: number;
}

/**
 * Copies that bring what `program` last computed for new tokens into the past. They are given to the next run of any program
 * over the state; nothing is read back.
 */
export function remember(
  program: Program,
  state: State,
  model: Model,
  { capacity, tokens }: DecodeShape,
  all: readonly Remembered[],
): Copy[] {
  const bytes = 4 * model.backbone.decode!.width(model.config);
  const copies: Copy[] = [];
  for (let block = 0; block < model.blocks; block++)
    for (const part of parts) {
      const from = program.output(rowsName(block, part));
      const to = state.slice(pastName(block, part));
      for (const r of all)
        copies.push({
          from: from.buffer,
          fromOffset: from.offset + (r.text * tokens + r.from) * bytes,
          to,
          toOffset: (r.text * capacity + r.to) * bytes,
          bytes: r.count * bytes,
        });
    }
  return copies;
}
