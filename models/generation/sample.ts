import { hash32, hashText, uniform } from '../data/hash.ts';

/** How the next token is chosen. */
export interface SampleOptions {
  /** Divides the logits: below 1 the likely tokens become likelier; 0 always takes the likeliest. */
  temperature: number;
  /** Only the fewest tokens that together have this share of the probability are drawn from; 1 is all. */
  topP: number;
}

/** A settings error of sampling. */
export class SampleError extends Error {
  override name = 'SampleError';
}

/** The number of the largest logit, the first of equal ones. Throws `SampleError` where one is not a number. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    if (Number.isNaN(logits[i]))
      throw new SampleError(
        'The model scored a word with no number. Lower the adapter’s strength, or undo its last steps.',
      );
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

/** Tokens that may be drawn, the likeliest first, with their probabilities, which sum to 1. */
export function candidates(
  logits: Float32Array,
  { temperature, topP }: SampleOptions,
): { ids: Uint32Array; probabilities: Float64Array } {
  if (!(temperature >= 0) || !(topP > 0 && topP <= 1))
    throw new SampleError(
      `A temperature of ${temperature} and a share of ${topP} cannot be drawn with. Take a temperature from 0 on, and a share above 0 and up to 1.`,
    );
  const top = logits[likeliest(logits)];
  if (temperature === 0) return { ids: Uint32Array.of(likeliest(logits)), probabilities: Float64Array.of(1) };
  const weights = Float64Array.from(logits, (x) => Math.exp((x - top) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  const order = Uint32Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a] || a - b);
  let kept = 0;
  let share = 0;
  // At least the likeliest is kept, and the token that crosses the share too (Holtzman et al., 2020, section 3.1).
  while (kept < order.length && (kept === 0 || share < topP * total)) share += weights[order[kept++]];
  const ids = order.slice(0, kept);
  return { ids, probabilities: Float64Array.from(ids, (id) => weights[id] / share) };
}

/** The next token of a text; `draw` is uniform in [0, 1). The same draw gives the same token. */
export function sampleToken(logits: Float32Array, options: SampleOptions, draw: () => number): number {
  const { ids, probabilities } = candidates(logits, options);
  let rest = draw();
  for (let i = 0; i < ids.length; i++) {
    rest -= probabilities[i];
    if (rest < 0) return ids[i];
  }
  return ids[ids.length - 1];
}

/** Uniform numbers in [0, 1) for the tokens of text number `text`: a function of the seed, whatever is written beside it. */
export function drawsOf(seed: number, text = 0): () => number {
  const stream = hash32(hash32(seed, hashText('generation')), text);
  let n = 0;
  return () => uniform(stream, n++);
}
