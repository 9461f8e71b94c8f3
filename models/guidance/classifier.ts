import type { Level } from '../samplers/levels.ts';
import { type Batch, perSample } from './rules.ts';

/**
 * Guidance by a classifier that was trained on clean pictures only, with EluCD's pre-conditioning (Ma et al., ICLR 2024): it
 * sees the predicted clean picture, its activations are smooth, its score has two temperatures, and the schedule adds a
 * sine to the posterior variance.
 */
export interface EluCdSettings {
  scale: number;
  /** Temperature of the asked class's logit in the score. */
  jointTemperature: number;
  /** Temperature of all logits in the score's normaliser; 0 makes the score the bare logit. */
  marginTemperature: number;
  /** Weight of the sine in the schedule. */
  sine: number;
}

export const eluCdDefaults: EluCdSettings = {
  scale: 1,
  jointTemperature: 1,
  marginTemperature: 0.5,
  sine: 0.3,
};

/** Gradient of a batch's scores with respect to the clean pictures; the denoiser is not differentiated. */
export type ClassifierGradient = (clean: Batch) => Batch | Promise<Batch>;

/**
 * Gradient of the score t₁ f_y - log Σ exp(t₂ f_i) with respect to the logits f: what a classifier's backward pass
 * starts from. Logits [count × classes].
 */
export function scoreGradient(
  logits: Batch,
  labels: ArrayLike<number>,
  { jointTemperature, marginTemperature }: Pick<EluCdSettings, 'jointTemperature' | 'marginTemperature'>,
): Batch {
  const out = new Float32Array(logits.length);
  perSample(logits.length, labels.length, (from, to, s) => {
    const f = logits.subarray(from, to).map((v) => v * marginTemperature);
    const top = Math.max(...f);
    const weights = Array.from(f, (v) => Math.exp(v - top));
    const sum = weights.reduce((a, w) => a + w, 0);
    for (let i = from; i < to; i++) out[i] = (-marginTemperature * weights[i - from]) / sum;
    out[from + labels[s]] += jointTemperature;
  });
  return out;
}

/** Variance of DDPM's step from a level to the next. */
export function posteriorVariance({ alpha, sigma }: Level, next: Level): number {
  return (next.sigma / sigma) ** 2 * (sigma ** 2 - ((alpha / next.alpha) * next.sigma) ** 2);
}

/**
 * How far each step moves its mean along the gradient: posterior variance plus a sine over the steps, times the scale.
 * `levels` are those of a sampler, with the end behind them.
 */
export function eluCdSchedule(levels: readonly Level[], { scale, sine }: EluCdSettings): number[] {
  const steps = levels.length - 1;
  let largest = 0;
  return Array.from({ length: steps }, (_, i) => {
    const variance = posteriorVariance(levels[i], levels[i + 1]);
    // Only what has been so far: the sampler knows nothing of later steps.
    largest = Math.max(largest, variance);
    return scale * (variance + sine * largest * Math.sin((Math.PI * (steps - i)) / steps));
  });
}

/**
 * How much a clean prediction must move for the deterministic step's result to move by 1: shifts of means become shifts of
 * predictions, which is all that samplers read.
 */
export function cleanPerMean({ alpha, sigma }: Level, next: Level): number {
  return 1 / (next.alpha - (next.sigma * alpha) / sigma);
}

/**
 * EluCD's schedule for preconditioned denoisers: step i of n, before the sampler's own step, moves the latents by this
 * times their root mean square along the gradient of root mean square 1.
 */
export function eluCdPush(step: number, steps: number, strength = 0.004): number {
  const n = steps + 1;
  return Math.max((strength * (n - step)) / n, 1e-5) + 0.3 * strength * Math.sin((Math.PI * step) / (n - 1));
}
