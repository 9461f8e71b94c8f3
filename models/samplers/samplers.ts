import type { Level, SamplerKind } from './levels.ts';

/**
 * The clean picture predicted from latents x at a level. `stage` is 1 for the second evaluation of a step of Heun's.
 * Guidance acts in here: samplers see its result only.
 */
export type PredictClean = (
  x: Float32Array,
  level: Level,
  at: { step: number; stage: 0 | 1 },
) => Float32Array | Promise<Float32Array>;

/** Fresh standard normal noise for a step. */
export type Noise = (step: number) => Float32Array;

export interface SamplerOptions {
  kind: SamplerKind;
  /** Share of the noise of DDPM that DDIM draws anew (Song et al., 2021, eq. 16). */
  eta?: number;
  /** Bound of clean predictions; null for none. */
  clip?: number | null;
  /** Heun's averages: of noise, or of velocities as in flow matching. */
  flow?: boolean;
}

/** A step that was made. */
export interface Sampled {
  step: number;
  /** Latents behind it, at the next level. */
  x: Float32Array;
  /** The clean picture predicted in it, for previews. */
  clean: Float32Array;
}

/** Evaluations of the network in `steps` steps. */
export const evaluationsOf = (kind: SamplerKind, steps: number): number =>
  kind === 'heun' ? 2 * steps - 1 : steps;

/**
 * Goes from the first level to the last, one yield a step. Latents are on the scale of their level: alpha · clean + sigma ·
 * noise, for every sampler alike; samplers that think in noise over signal are rewritten in it.
 */
export async function* sampleSteps(
  start: Float32Array,
  levels: readonly Level[],
  predict: PredictClean,
  noise: Noise,
  { kind, eta = 0, clip = null, flow = false }: SamplerOptions,
): AsyncGenerator<Sampled> {
  let x = start;
  let before: { clean: Float32Array; level: Level } | null = null;
  for (let step = 0; step + 1 < levels.length; step++) {
    const [level, next] = [levels[step], levels[step + 1]];
    const free = await predict(x, level, { step, stage: 0 });
    const bound = (c: Float32Array) => (clip === null ? c : bounded(c, clip));
    const clean = bound(free);
    if (kind === 'heun') {
      const again = async (y: Float32Array) => bound(await predict(y, next, { step, stage: 1 }));
      x = await heun(x, clean, level, next, flow, again);
    } else if (kind === 'dpm++') x = multistep(x, clean, level, next, before);
    else {
      const fresh = kind === 'ddpm' || kind === 'ancestral' ? 1 : kind === 'ddim' ? eta : 0;
      // DDIM keeps the noise of the unbounded prediction, DDPM takes that which fits the bounded one.
      x = towards(x, clean, kind === 'ddim' ? free : clean, level, next, fresh, () => noise(step));
    }
    before = { clean, level };
    yield { step, x, clean };
  }
}

const bounded = (x: Float32Array, by: number) => x.map((v) => Math.min(Math.max(v, -by), by));

/**
 * DDIM's step with a share `eta` of the noise drawn anew (Song et al., 2021, eq. 12). Without it this is Euler's step in
 * noise over signal, and on straight paths; with all of it, the ancestral step.
 */
function towards(
  x: Float32Array,
  clean: Float32Array,
  noiseOf: Float32Array,
  { alpha, sigma }: Level,
  next: Level,
  eta: number,
  draw: () => Float32Array,
): Float32Array {
  const ratio = alpha / next.alpha;
  const variance = eta * eta * (next.sigma / sigma) ** 2 * (sigma * sigma - (ratio * next.sigma) ** 2);
  const drawn = Math.sqrt(Math.max(variance, 0));
  const kept = Math.sqrt(Math.max(next.sigma ** 2 - drawn ** 2, 0));
  const fresh = drawn > 0 ? draw() : null;
  return x.map(
    (v, i) =>
      next.alpha * clean[i] + (kept * (v - alpha * noiseOf[i])) / sigma + (fresh ? drawn * fresh[i] : 0),
  );
}

/** Heun's second-order step (Karras et al., 2022, algorithm 1, without churn). */
async function heun(
  x: Float32Array,
  clean: Float32Array,
  level: Level,
  next: Level,
  flow: boolean,
  predict: (y: Float32Array) => Promise<Float32Array>,
): Promise<Float32Array> {
  const first = towards(x, clean, clean, level, next, 0, () => x);
  if (next.sigma === 0) return first;
  const ahead = await predict(first);
  const noiseAt = (y: Float32Array, c: Float32Array, l: Level, i: number) =>
    (y[i] - l.alpha * c[i]) / l.sigma;
  if (flow)
    return x.map((v, i) => {
      const here = noiseAt(x, clean, level, i) - clean[i];
      const there = noiseAt(first, ahead, next, i) - ahead[i];
      return v + ((next.sigma - level.sigma) * (here + there)) / 2;
    });
  const rise = next.sigma / next.alpha - level.sigma / level.alpha;
  return x.map((v, i) => {
    const mean = (noiseAt(x, clean, level, i) + noiseAt(first, ahead, next, i)) / 2;
    return next.alpha * (v / level.alpha + rise * mean);
  });
}

/** DPM-Solver++(2M) (Lu et al., 2022, algorithm 2); first order in the first step and in the last. */
function multistep(
  x: Float32Array,
  clean: Float32Array,
  level: Level,
  next: Level,
  before: { clean: Float32Array; level: Level } | null,
): Float32Array {
  const log = ({ alpha, sigma }: Level) => Math.log(alpha / sigma);
  if (next.sigma === 0) return Float32Array.from(clean, (c) => next.alpha * c);
  const h = log(next) - log(level);
  const growth = -next.alpha * Math.expm1(-h);
  const back = before ? h / (log(level) - log(before.level)) / 2 : 0;
  return x.map((v, i) => {
    const ahead = before ? clean[i] + back * (clean[i] - before.clean[i]) : clean[i];
    return (next.sigma / level.sigma) * v + growth * ahead;
  });
}
