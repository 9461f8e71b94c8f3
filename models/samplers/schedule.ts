import { ConfigError } from '../backbones/backbone.ts';
import { readBoolean, readNumber } from '../backbones/readConfig.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { readOptional, requireOptions } from '../denoisers/read.ts';

/** What a network predicts of x = alpha · clean + sigma · noise. */
export type Prediction = 'epsilon' | 'v_prediction' | 'sample';

export type Spacing = 'linspace' | 'leading' | 'trailing';

/** Noise levels of DDPM (Ho et al., 2020): alpha² + sigma² = 1 at whole timesteps. */
export interface DdpmSchedule {
  kind: 'ddpm';
  prediction: Prediction;
  /** alpha² of each timestep. */
  bars: Float64Array;
  spacing: Spacing;
  offset: number;
  /** Bound of clean predictions, or null. */
  clip: number | null;
  /** alpha² behind the last step: 1, or that of the first timestep. */
  finalBar: number;
  karras: boolean;
  /** The cosine schedule, whose end is so steep that timesteps of it are not rounded. */
  cosine: boolean;
}

/** Straight paths from noise to pictures (Lipman et al., 2023): alpha = 1 - sigma; the network predicts noise - clean. */
export interface FlowSchedule {
  kind: 'flow';
  steps: number;
  shift: number;
}

/** Preconditioned denoisers of Karras et al. (2022): alpha = 1, and the network predicts a mix of noise and picture. */
export interface EdmSchedule {
  kind: 'edm';
  prediction: 'epsilon' | 'v_prediction';
  sigmaMin: number;
  sigmaMax: number;
  sigmaData: number;
  rho: number;
}

export type Schedule = DdpmSchedule | FlowSchedule | EdmSchedule;

/**
 * Reads a diffusers `scheduler_config.json`. Which sampler it names does not matter, only the noise that the network was
 * trained on. Throws `ConfigError` naming the option that is not supported.
 */
export function readSchedule(config: JsonObject): Schedule {
  const name = `${config._class_name ?? 'DDPMScheduler'}`;
  requireOptions(config, {
    thresholding: [false],
    use_exponential_sigmas: [false],
    use_beta_sigmas: [false],
    use_lu_lambdas: [false],
    use_dynamic_shifting: [false],
    sigma_schedule: ['karras'],
    trained_betas: [],
  });
  if (name.startsWith('FlowMatch'))
    return {
      kind: 'flow',
      steps: readNumber(config, 'num_train_timesteps', 1000),
      shift: readNumber(config, 'shift', 1),
    };
  if (name.startsWith('EDM')) return readEdm(config);
  return readDdpm(config);
}

function readEdm(config: JsonObject): EdmSchedule {
  requireOptions(config, { prediction_type: ['epsilon', 'v_prediction'] });
  return {
    kind: 'edm',
    prediction: (config.prediction_type ?? 'epsilon') as EdmSchedule['prediction'],
    sigmaMin: readNumber(config, 'sigma_min', 0.002),
    sigmaMax: readNumber(config, 'sigma_max', 80),
    sigmaData: readNumber(config, 'sigma_data', 0.5),
    rho: readNumber(config, 'rho', 7),
  };
}

function readDdpm(config: JsonObject): DdpmSchedule {
  requireOptions(config, {
    prediction_type: ['epsilon', 'v_prediction', 'sample'],
    timestep_spacing: ['linspace', 'leading', 'trailing'],
  });
  const betas = readBetas(config);
  let bar = 1;
  let bars: Float64Array = betas.map((beta) => {
    bar *= 1 - beta;
    return bar;
  });
  if (readBoolean(config, 'rescale_betas_zero_snr', false)) bars = withoutSignalAtTheEnd(bars);
  return {
    kind: 'ddpm',
    prediction: (config.prediction_type ?? 'epsilon') as Prediction,
    bars,
    spacing: (config.timestep_spacing ?? 'leading') as Spacing,
    offset: readNumber(config, 'steps_offset', 0),
    clip: readBoolean(config, 'clip_sample', false) ? readNumber(config, 'clip_sample_range', 1) : null,
    finalBar: readBoolean(config, 'set_alpha_to_one', true) ? 1 : bars[0],
    karras: readBoolean(config, 'use_karras_sigmas', false),
    cosine: config.beta_schedule === 'squaredcos_cap_v2',
  };
}

/** Share of noise that each timestep adds. */
function readBetas(config: JsonObject): Float64Array {
  const count = readNumber(config, 'num_train_timesteps', 1000);
  const start = readOptional(config, 'beta_start', 0.0001);
  const end = readOptional(config, 'beta_end', 0.02);
  const kind = config.beta_schedule ?? 'linear';
  const between = (a: number, b: number, i: number) => a + ((b - a) * i) / (count - 1);
  const at: Record<string, (i: number) => number> = {
    linear: (i) => between(start, end, i),
    scaled_linear: (i) => between(Math.sqrt(start), Math.sqrt(end), i) ** 2,
    squaredcos_cap_v2: (i) => Math.min(1 - cosineBar((i + 1) / count) / cosineBar(i / count), 0.999),
  };
  const beta = at[kind as string];
  if (!beta)
    throw new ConfigError(
      `scheduler_config.json has beta_schedule = ${JSON.stringify(kind)}; supported are ${Object.keys(at).join(', ')}.`,
    );
  return Float64Array.from({ length: count }, (_, i) => beta(i));
}

/** alpha² of the cosine schedule (Nichol & Dhariwal, 2021, eq. 17). */
const cosineBar = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;

/** Shifts and scales the alphas so that the last is zero and the first stays (Lin et al., 2024, algorithm 1). */
function withoutSignalAtTheEnd(bars: Float64Array): Float64Array {
  const first = Math.sqrt(bars[0]);
  const last = Math.sqrt(bars.at(-1)!);
  return bars.map((bar) => (((Math.sqrt(bar) - last) * first) / (first - last)) ** 2);
}
