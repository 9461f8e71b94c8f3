import type { Level } from './levels.ts';
import { cleanFactors, inputScale } from './parameterisation.ts';
import type { Schedule } from './schedule.ts';

/** A level that a network is trained at: the one that `u` in [0, 1) falls on. */
export function trainingLevel(schedule: Schedule, u: number): Level {
  if (schedule.kind === 'ddpm') {
    const t = Math.min(Math.floor(u * schedule.bars.length), schedule.bars.length - 1);
    return { t, alpha: Math.sqrt(schedule.bars[t]), sigma: Math.sqrt(1 - schedule.bars[t]) };
  }
  if (schedule.kind === 'flow') {
    const even = (Math.floor(u * schedule.steps) + 1) / schedule.steps;
    const sigma = (schedule.shift * even) / (1 + (schedule.shift - 1) * even);
    return { t: sigma * schedule.steps, alpha: 1 - sigma, sigma };
  }
  // Levels of the sampler, which lie densest where pictures take shape.
  const { sigmaMin, sigmaMax, rho } = schedule;
  const sigma = (sigmaMax ** (1 / rho) + u * (sigmaMin ** (1 / rho) - sigmaMax ** (1 / rho))) ** rho;
  return { t: Math.log(sigma) / 4, alpha: 1, sigma };
}

/** What a network is shown of a clean picture and noise at a level, and the output that it is to learn. */
export function noised(
  schedule: Schedule,
  level: Level,
  clean: Float32Array,
  noise: Float32Array,
): { latents: Float32Array; target: Float32Array } {
  const { alpha, sigma } = level;
  const scale = inputScale(schedule, level);
  const { a, b } = cleanFactors(schedule, level);
  const latents = clean.map((c, i) => alpha * c + sigma * noise[i]);
  return {
    // The right output is the one that is read as the clean picture.
    target: latents.map((x, i) => (clean[i] - a * x) / b),
    latents: scale === 1 ? latents : latents.map((x) => scale * x),
  };
}
