import { concat, fill, type Tensor } from '../../gpu-shaders/index.ts';
import type { AttentionOptions, Scope } from '../scope.ts';
import { paddingBias } from './text.ts';

/** Keys and values of tokens in one block, straight before the attention: [B, tokens, width] each. */
export interface KeyValues {
  k: Tensor;
  v: Tensor;
}

/** What one step of decoding reads. All shapes are fixed, so one program serves every step. */
export interface DecodeInputs {
  /** New tokens, u32 [B, N]: one a step, or the whole prompt at first. */
  ids: Tensor;
  /** Their numbers in their texts, from 0 up to the capacity, u32 [B, N]. */
  positions: Tensor;
  /** 1 where `past` holds a token, f32 [B, capacity]. */
  mask: Tensor;
  /** Of each block the keys and values of tokens before, [B, capacity, width]; rows that hold none may be anything finite. */
  past: readonly KeyValues[];
}

export interface DecodeOutput {
  /** Hidden states of the new tokens, [B, N, D], as the language head reads them. */
  last: Tensor;
  /** What the new tokens add to the past of each block, [B, N, width]. */
  rows: readonly KeyValues[];
}

/**
 * A causal language model one step at a time (keys and values of what was read are kept). It computes what `forward`
 * does with the same blocks: a step costs one token instead of the whole text. Tokens of prompt tuning are not added.
 */
export interface Decoder<C> {
  /** Features of a token's keys, and of its values, in each block. */
  width(config: C): number;
  forward(scope: Scope, inputs: DecodeInputs, config: C): DecodeOutput;
}

/** How the blocks of one trace of a causal model see what lies before: all their attention goes through it. */
export class Sight {
  readonly rows: KeyValues[] = [];

  private constructor(
    private readonly bias: Tensor,
    private readonly past?: readonly KeyValues[],
  ) {}

  /** Whole texts: a token sees itself and those before it, by the mask [B, T]. */
  static whole(mask: Tensor): Sight {
    return new Sight(paddingBias(mask));
  }

  /** New tokens behind those of the past, which are behind its mask. */
  static behind({ ids, mask, past }: DecodeInputs): Sight {
    return new Sight(paddingBias(concat([mask, fill(ids.shape, 1)], 1)), past);
  }

  /** Causal attention at `scope`; block after block. */
  attend(
    scope: Scope,
    q: Tensor,
    { k, v }: KeyValues,
    options: Pick<AttentionOptions, 'heads' | 'scale'>,
  ): Tensor {
    const past = this.past?.[this.rows.length];
    this.rows.push({ k, v });
    const behind = (rows: Tensor | undefined, x: Tensor) => (rows ? concat([rows, x], 1) : x);
    return scope.attention(q, behind(past?.k, k), behind(past?.v, v), {
      ...options,
      causal: true,
      bias: this.bias,
    });
  }
}
