import type { ClassifierGradient } from '../../models/guidance/classifier.ts';
import { type Guidance, Guider, needs, type Predictions } from '../../models/guidance/guide.ts';
import type { GuidanceStatistics } from '../../models/guidance/statistics.ts';
import { type Level, levelsOf, type SamplerKind } from '../../models/samplers/levels.ts';
import { gaussians } from '../../models/samplers/noise.ts';
import { cleanOf, inputScale } from '../../models/samplers/parameterisation.ts';
import { sampleSteps } from '../../models/samplers/samplers.ts';
import type { Schedule } from '../../models/samplers/schedule.ts';
import type { DenoiserProgram, Told } from './denoise.ts';

/** One batch of pictures to draw. */
export interface SampleRequest {
  schedule: Schedule;
  sampler: SamplerKind;
  steps: number;
  guidance: Guidance;
  seed: number;
  /** Numbers of the samples, which their noise depends on; as many as the program's batch. */
  samples: readonly number[];
  /** Their condition, and that of unconditional predictions. */
  told: Told;
  nothing: Told;
  /** Share of DDPM's noise in DDIM. */
  eta?: number;
  /** A worse version of the network, for autoguidance. */
  weak?: DenoiserProgram;
  /** Of the classifier's scores of the asked classes, for guidance by a classifier. */
  gradient?: ClassifierGradient;
}

/** A step that was made. */
export interface SampleStep {
  /** Steps done, and of how many. */
  done: number;
  steps: number;
  level: Level;
  /** Latents [batch, C, H, W] behind the step; in the last one, the pictures. */
  latents: Float32Array;
  /** The guided prediction of the picture in it: what previews show. */
  clean: Float32Array;
  statistics: GuidanceStatistics;
  /** Evaluations of networks so far. */
  evaluations: number;
}

/**
 * Draws a batch, one yield a step. Nothing runs between yields: a caller that stops asking has stopped the sampling. Same
 * request, same device, same bits.
 */
export async function* sample(program: DenoiserProgram, request: SampleRequest): AsyncGenerator<SampleStep> {
  const { schedule, sampler, steps, guidance, seed, samples, told, nothing, weak, gradient } = request;
  if (samples.length !== program.batch)
    throw new RangeError(`${samples.length} samples do not fill a batch of ${program.batch}.`);
  const size = program.shape.reduce((n, d) => n * d, 1);
  const { levels, start } = levelsOf(schedule, sampler, steps);
  const guider = new Guider({ guidance, levels, count: program.batch, channels: program.shape[0], gradient });
  let evaluations = 0;
  let statistics: GuidanceStatistics | null = null;

  const clean = async (by: DenoiserProgram, x: Float32Array, level: Level, condition: Told) => {
    const scale = inputScale(schedule, level);
    evaluations += 1;
    const output = await by.predict(scale === 1 ? x : x.map((v) => v * scale), level.t, condition);
    return cleanOf(schedule, level, x, output);
  };
  const predict = async (x: Float32Array, level: Level, { step }: { step: number }) => {
    const asked = needs(guidance, level);
    const found: Predictions = { conditional: await clean(program, x, level, told) };
    if (asked.unconditional) found.unconditional = await clean(program, x, level, nothing);
    if (asked.weak && weak) found.weak = await clean(weak, x, level, told);
    const guided = await guider.apply(step, found);
    statistics = guided.statistics;
    return guided.clean;
  };

  const first = gaussians(size, seed, samples, -1).map((v) => v * start);
  const made = sampleSteps(first, levels, predict, (step) => gaussians(size, seed, samples, step), {
    kind: sampler,
    eta: request.eta,
    clip: schedule.kind === 'ddpm' ? schedule.clip : null,
    flow: schedule.kind === 'flow',
  });
  for await (const { step, x, clean } of made)
    yield {
      done: step + 1,
      steps,
      level: levels[step + 1],
      latents: x,
      clean,
      statistics: statistics!,
      evaluations,
    };
}
