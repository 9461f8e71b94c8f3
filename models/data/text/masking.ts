import { hash32, uniform } from '../hash.ts';

/** Share of the tokens that are guessed (Devlin et al., 2019, arxiv.org/abs/1810.04805, section 3.1). */
const GUESSED = 0.15;

export interface Masked {
  ids: Uint32Array;
  /** The tokens as they were. */
  targets: Uint32Array;
  /** 1 for those to be guessed. */
  counted: Float32Array;
}

export interface MaskingOptions {
  /** Id of the token that hides another. */
  mask: number;
  /** Ids of the vocabulary. */
  vocabulary: number;
  /** Ids that are never hidden. */
  special: ReadonlySet<number>;
  /** The same stream hides the same tokens. */
  stream: number;
}

/**
 * Hides tokens to be guessed: of those drawn eight in ten become the mask, one another token, and one stays. At least
 * one token of a text that has any is drawn.
 */
export function hideTokens(ids: Uint32Array, mask: Float32Array, options: MaskingOptions): Masked {
  const { special, vocabulary } = options;
  const open = [...ids.keys()].filter((i) => mask[i] && !special.has(ids[i]));
  const hidden = Uint32Array.from(ids);
  const counted = new Float32Array(ids.length);
  const draw = (i: number, what: number) => uniform(hash32(options.stream, i), what);
  let drawn = open.filter((i) => draw(i, 0) < GUESSED);
  if (!drawn.length && open.length) drawn = [open[Math.floor(uniform(options.stream, 0) * open.length)]];
  for (const i of drawn) {
    counted[i] = 1;
    const fate = draw(i, 1);
    if (fate < 0.8) hidden[i] = options.mask;
    else if (fate < 0.9) hidden[i] = Math.floor(draw(i, 2) * vocabulary);
  }
  return { ids: hidden, targets: Uint32Array.from(ids), counted };
}
