/**
 * Guidance rules as pure functions of clean predictions. A batch lies sample after sample in one array; `count` is how many
 * samples it holds. With Dc the conditional and Dr the reference prediction (unconditional, or a weaker model's), every
 * rule gives Dc + (w - 1) · update, so that w = 1 is always no guidance.
 */

/** Values of a sample, and an array of such samples. */
export type Batch = Float32Array;

/** Dc - Dr. */
export const difference = (conditional: Batch, reference: Batch): Batch =>
  conditional.map((c, i) => c - reference[i]);

/** Dc + (w - 1) · update. Classifier-free guidance (Ho & Salimans, 2022) where the update is Dc - Dr. */
export const steer = (conditional: Batch, update: Batch, scale: number): Batch =>
  conditional.map((c, i) => c + (scale - 1) * update[i]);

/**
 * Classifier-free guidance, and autoguidance (Karras et al., 2024) where the reference is the same condition's prediction by
 * a worse version of the network.
 */
export const cfg = (conditional: Batch, reference: Batch, scale: number): Batch =>
  steer(conditional, difference(conditional, reference), scale);

/** Calls `each` with the parts that the samples take, [from, to). */
export function perSample(
  length: number,
  count: number,
  each: (from: number, to: number, sample: number) => void,
) {
  const size = length / count;
  for (let s = 0; s < count; s++) each(s * size, (s + 1) * size, s);
}

/** Inner products of two batches, one a sample, summed in f64. */
export function dots(a: Batch, b: Batch, count: number): Float64Array {
  const found = new Float64Array(count);
  perSample(a.length, count, (from, to, s) => {
    for (let i = from; i < to; i++) found[s] += a[i] * b[i];
  });
  return found;
}

/** Euclidean norms, one a sample. */
export const norms = (a: Batch, count: number): Float64Array => dots(a, a, count).map(Math.sqrt);

/** Each sample times a factor of its own. */
function scaled(a: Batch, factors: ArrayLike<number>): Batch {
  const out = new Float32Array(a.length);
  perSample(a.length, factors.length, (from, to, s) => {
    for (let i = from; i < to; i++) out[i] = a[i] * factors[s];
  });
  return out;
}

/** Each sample no longer than `limit`; Infinity leaves them as they are. */
export function limited(update: Batch, limit: number, count: number): Batch {
  if (limit === Number.POSITIVE_INFINITY) return update;
  return scaled(
    update,
    norms(update, count).map((n) => (n > limit ? limit / n : 1)),
  );
}

/** The part of each sample of `update` along that of `direction`, and the rest. */
export function split(
  update: Batch,
  direction: Batch,
  count: number,
): { parallel: Batch; orthogonal: Batch } {
  const along = dots(update, direction, count);
  const squares = dots(direction, direction, count);
  const parallel = scaled(
    direction,
    along.map((d, s) => (squares[s] > 0 ? d / squares[s] : 0)),
  );
  return { parallel, orthogonal: update.map((u, i) => u - parallel[i]) };
}

export interface ApgSettings {
  /** Share of the part along the prediction that stays: 1 keeps all, 0 none. It is what saturates. */
  eta: number;
  /** Longest update; Infinity for no limit. */
  limit: number;
  /** Weight of the update before, which is negative in the paper. */
  momentum: number;
}

/**
 * The update of adaptive projected guidance (Sadat et al., ICLR 2025, algorithm 1), and the momentum to carry to the next
 * step: `before` is what this gave there, null in the first step. `delta` is Dc - Dr.
 */
export function apgUpdate(
  conditional: Batch,
  delta: Batch,
  before: Batch | null,
  { eta, limit, momentum }: ApgSettings,
  count: number,
): { update: Batch; carried: Batch } {
  const carried = before && momentum ? delta.map((d, i) => d + momentum * before[i]) : delta;
  const { parallel, orthogonal } = split(limited(carried, limit, count), conditional, count);
  return { update: orthogonal.map((o, i) => o + eta * parallel[i]), carried };
}

/** Standard deviations, one a sample. */
export function deviations(a: Batch, count: number): Float64Array {
  const found = new Float64Array(count);
  perSample(a.length, count, (from, to, s) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += a[i];
    const mean = sum / (to - from);
    let squares = 0;
    for (let i = from; i < to; i++) squares += (a[i] - mean) ** 2;
    found[s] = Math.sqrt(squares / (to - from));
  });
  return found;
}

/**
 * A guided prediction brought back to the contrast of the conditional one, `share` of the way (Lin et al., 2024, section
 * 3.4).
 */
export function rescaled(guided: Batch, conditional: Batch, share: number, count: number): Batch {
  const [own, wanted] = [guided, conditional].map((b) => deviations(b, count));
  return scaled(
    guided,
    own.map((d, s) => 1 - share + (d > 0 ? (share * wanted[s]) / d : share)),
  );
}

/** Whether a noise level lies in the interval that is guided (Kynkäänniemi et al., 2024), both ends included. */
export const inInterval = (
  level: { alpha: number; sigma: number },
  [from, to]: readonly [number, number],
): boolean => {
  const share = noiseShare(level);
  return share >= from && share <= to;
};

/** Noise as a share of noise and signal, 0 to 1, whatever the schedule. */
export const noiseShare = ({ alpha, sigma }: { alpha: number; sigma: number }): number =>
  sigma / (alpha + sigma);
