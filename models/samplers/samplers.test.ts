import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../backbones/backbone.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { type Level, levelsOf, type SamplerKind } from './levels.ts';
import { gaussian, gaussians } from './noise.ts';
import { cleanOf, inputScale } from './parameterisation.ts';
import { evaluationsOf, type PredictClean, type Sampled, sampleSteps } from './samplers.ts';
import { readSchedule, type Schedule } from './schedule.ts';

interface Case {
  name: string;
  scheduler: JsonObject & { _class_name: string };
  options: { eta?: number };
  steps: number;
  timesteps: number[];
  start: number[];
  noises: number[][];
  path: number[][];
}

const fixture = new URL('../../tools/reference/fixtures/samplers/trajectories.json', import.meta.url);
const { means, spread, cases } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  means: number[];
  spread: number;
  cases: Case[];
};

/** The expected clean value of three Gaussians, in closed form. */
function closedForm(x: number, alpha: number, sigma: number): number {
  const variance = (alpha * spread) ** 2 + sigma ** 2;
  const logs = means.map((m) => -((x - alpha * m) ** 2) / (2 * variance));
  const top = Math.max(...logs);
  const weights = logs.map((l) => Math.exp(l - top));
  const sum = weights.reduce((a, w) => a + w, 0);
  return means.reduce(
    (n, m, i) => n + (weights[i] / sum) * (m + ((alpha * spread ** 2) / variance) * (x - alpha * m)),
    0,
  );
}

/** What the network sees of the noise at t: DDPM's levels between timesteps are those between their alpha². */
function seen(schedule: Schedule, { t, alpha, sigma }: Level): { alpha: number; sigma: number } {
  if (schedule.kind !== 'ddpm') return { alpha, sigma };
  const place = Math.min(t, schedule.bars.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, schedule.bars.length - 1);
  const bar = schedule.bars[low] + (place - low) * (schedule.bars[high] - schedule.bars[low]);
  return { alpha: Math.sqrt(bar), sigma: Math.sqrt(Math.max(1 - bar, 1e-12)) };
}

/** The output of a network of the schedule's kind that knows the closed form. */
function network(schedule: Schedule, level: Level, x: number): number {
  const { alpha, sigma } = seen(schedule, level);
  const clean = closedForm(x, alpha, sigma);
  const noise = (x - alpha * clean) / sigma;
  if (schedule.kind === 'flow') return noise - clean;
  if (schedule.kind === 'edm') {
    const norm = Math.hypot(sigma, schedule.sigmaData);
    return (clean - (schedule.sigmaData / norm) ** 2 * x) / ((sigma * schedule.sigmaData) / norm);
  }
  return { epsilon: noise, sample: clean, v_prediction: alpha * noise - sigma * clean }[schedule.prediction];
}

const kinds: Record<string, SamplerKind> = {
  DDIMScheduler: 'ddim',
  DDPMScheduler: 'ddpm',
  EulerDiscreteScheduler: 'euler',
  EulerAncestralDiscreteScheduler: 'ancestral',
  HeunDiscreteScheduler: 'heun',
  DPMSolverMultistepScheduler: 'dpm++',
  FlowMatchEulerDiscreteScheduler: 'euler',
  FlowMatchHeunDiscreteScheduler: 'heun',
  EDMEulerScheduler: 'euler',
};

async function all(steps: AsyncGenerator<Sampled>): Promise<Sampled[]> {
  const found: Sampled[] = [];
  for await (const step of steps) found.push(step);
  return found;
}

const byClosedForm =
  (schedule: Schedule): PredictClean =>
  (x, level) =>
    cleanOf(
      schedule,
      level,
      x,
      x.map((v) => network(schedule, level, v)),
    );

describe("trajectories are those of diffusers' schedulers", () => {
  test.each(cases.map((c) => [c.name, c] as const))('%s', async (_, { scheduler, ...found }) => {
    const schedule = readSchedule(scheduler);
    const kind = kinds[scheduler._class_name];
    const { levels, start } = levelsOf(schedule, kind, found.steps);
    const flow = schedule.kind === 'flow';
    const clip = schedule.kind === 'ddpm' ? schedule.clip : null;
    const steps = await all(
      sampleSteps(
        Float32Array.from(found.start, (v) => start * v),
        levels,
        byClosedForm(schedule),
        (step) => Float32Array.from(found.noises[step]),
        { kind, eta: found.options.eta, clip, flow },
      ),
    );
    // Schedulers that think in noise over signal keep their latents on that scale.
    const scaled = schedule.kind === 'ddpm' && ['euler', 'ancestral', 'heun'].includes(kind);
    // Heun's gives a result in the middle of a step, too.
    const at = (i: number) => (kind === 'heun' ? Math.min(2 * i + 1, found.path.length - 1) : i);
    expect(steps.length).toBe(found.steps);
    expect(evaluationsOf(kind, found.steps)).toBe(found.path.length);
    const largest = Math.max(...found.path.flat().map(Math.abs));
    steps.forEach(({ x }, i) => {
      const alpha = scaled ? levels[i + 1].alpha : 1;
      x.forEach((v, j) => {
        const scale = Math.max(Math.abs(found.path[at(i)][j]), 1);
        expect(Math.abs(v / alpha - found.path[at(i)][j]) / scale, `step ${i}, ${largest}`).toBeLessThan(
          1e-3,
        );
      });
    });
    const told = kind === 'heun' ? found.timesteps.filter((_, i) => i === 0 || i % 2) : found.timesteps;
    levels.slice(0, -1).forEach(({ t }, i) => {
      expect(Math.abs(t - told[i])).toBeLessThan(1e-2);
    });
  });
});

test('the input of a preconditioned denoiser is scaled, others are not', () => {
  const edm = readSchedule({ _class_name: 'EDMEulerScheduler' });
  expect(inputScale(edm, { t: 0, alpha: 1, sigma: 1.2 })).toBeCloseTo(1 / 1.3, 6);
  expect(inputScale(readSchedule({}), { t: 0, alpha: 1, sigma: 1.2 })).toBe(1);
});

test('noise depends on seed, sample and step, not on the batch', () => {
  const one = gaussian(101, 7, 3, -1);
  expect(gaussians(101, 7, [9, 3], -1).subarray(101)).toEqual(one);
  for (const other of [gaussian(101, 8, 3, -1), gaussian(101, 7, 4, -1), gaussian(101, 7, 3, 0)])
    expect(other).not.toEqual(one);
  const many = gaussian(20001, 1, 0, 5);
  const mean = many.reduce((n, v) => n + v, 0) / many.length;
  expect(Math.abs(mean)).toBeLessThan(0.03);
  expect(Math.abs(many.reduce((n, v) => n + v * v, 0) / many.length - 1)).toBeLessThan(0.05);
});

test('schedules and step counts that are not served are refused', () => {
  expect(() => readSchedule({ beta_schedule: 'sigmoid' })).toThrow(ConfigError);
  expect(() => readSchedule({ thresholding: true })).toThrow('thresholding');
  expect(() => readSchedule({ prediction_type: 'score' })).toThrow('prediction_type');
  expect(() => levelsOf(readSchedule({}), 'ddim', 0)).toThrow(RangeError);
  expect(() => levelsOf(readSchedule({}), 'ddim', 1001)).toThrow(RangeError);
});
