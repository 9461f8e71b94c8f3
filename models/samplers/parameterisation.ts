import type { Level } from './levels.ts';
import type { Schedule } from './schedule.ts';

/** What the network is to be shown in place of latents x at a level: x times this. */
export function inputScale(schedule: Schedule, { sigma }: Level): number {
  return schedule.kind === 'edm' ? 1 / Math.hypot(sigma, schedule.sigmaData) : 1;
}

/** Clean = latents · a + output · b, whatever the network predicts. */
export function cleanFactors(schedule: Schedule, { alpha, sigma }: Level): { a: number; b: number } {
  if (schedule.kind === 'flow') return { a: 1, b: -sigma };
  if (schedule.kind === 'edm') {
    const { sigmaData: data, prediction } = schedule;
    const norm = Math.hypot(sigma, data);
    return { a: (data / norm) ** 2, b: ((prediction === 'epsilon' ? 1 : -1) * sigma * data) / norm };
  }
  if (schedule.prediction === 'sample') return { a: 0, b: 1 };
  return schedule.prediction === 'epsilon' ? { a: 1 / alpha, b: -sigma / alpha } : { a: alpha, b: -sigma };
}

/** The clean picture that an output says. */
export function cleanOf(
  schedule: Schedule,
  level: Level,
  x: Float32Array,
  output: Float32Array,
): Float32Array {
  const { a, b } = cleanFactors(schedule, level);
  return output.map((o, i) => a * x[i] + b * o);
}
