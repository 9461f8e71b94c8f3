import type { DdpmSchedule, EdmSchedule, FlowSchedule, Schedule } from './schedule.ts';

/** A noise level: latents there are alpha · clean + sigma · noise. */
export interface Level {
  /** What the network is told. */
  t: number;
  alpha: number;
  sigma: number;
}

export type SamplerKind = 'ddim' | 'ddpm' | 'euler' | 'ancestral' | 'heun' | 'dpm++';

export interface Levels {
  /** One for each step, from noise to picture, and the end behind the last step, which the network never sees. */
  levels: Level[];
  /** Standard deviation of the noise that sampling starts from, at the first level. */
  start: number;
}

/**
 * The levels that `steps` steps of a sampler visit: those of diffusers' scheduler of its kind. Throws `RangeError` for
 * more steps than there are timesteps.
 */
export function levelsOf(schedule: Schedule, kind: SamplerKind, steps: number): Levels {
  if (!Number.isInteger(steps) || steps < 1)
    throw new RangeError(`${steps} sampling steps; at least one is needed.`);
  if (schedule.kind === 'flow') return flowLevels(schedule, steps);
  if (schedule.kind === 'edm') return edmLevels(schedule, steps);
  if (steps > schedule.bars.length)
    throw new RangeError(
      `${steps} sampling steps are more than the ${schedule.bars.length} that were trained.`,
    );
  return kind === 'ddim' || kind === 'ddpm'
    ? wholeLevels(schedule, steps)
    : sigmaLevels(schedule, kind, steps);
}

/** NumPy's rounding: halves go to the even neighbour. */
function roundEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 ? low + 1 : low;
}

const at = (bar: number, t: number): Level => ({ t, alpha: Math.sqrt(bar), sigma: Math.sqrt(1 - bar) });

/** Timesteps from the last to the first; `ends` counts points of the range that are left out behind the last step. */
function timesteps({ bars, spacing, offset }: DdpmSchedule, steps: number, ends: 0 | 1): number[] {
  const count = bars.length;
  const indices = Array.from({ length: steps }, (_, i) => steps - 1 - i + ends);
  if (spacing === 'linspace') {
    const last = steps - 1 + ends;
    return indices.map((i) => (last ? ((count - 1) * i) / last : count - 1));
  }
  if (spacing === 'leading') {
    const ratio = Math.floor(count / (steps + ends));
    return indices.map((i) => i * ratio + offset);
  }
  return indices.map((i) => roundEven(count - ((steps - 1 + ends - i) * count) / steps) - 1);
}

function wholeLevels(schedule: DdpmSchedule, steps: number): Levels {
  const levels = timesteps(schedule, steps, 0)
    .map(roundEven)
    .map((t) => at(schedule.bars[Math.min(t, schedule.bars.length - 1)], t));
  return { levels: [...levels, at(schedule.finalBar, 0)], start: 1 };
}

/** Level of noise over signal, sigma / alpha. */
const atRatio = (ratio: number, t: number): Level => {
  const alpha = 1 / Math.sqrt(1 + ratio * ratio);
  return { t, alpha, sigma: ratio * alpha };
};

/** Levels of the samplers that think in noise over signal, which is read between timesteps too. */
function sigmaLevels(schedule: DdpmSchedule, kind: SamplerKind, steps: number): Levels {
  // No signal at all has no ratio; diffusers puts this in its place.
  const ratios = schedule.bars.map((bar) => Math.sqrt((1 - bar) / (bar || 2 ** -24)));
  const multistep = kind === 'dpm++';
  const places = timesteps(schedule, steps, multistep && schedule.spacing !== 'trailing' ? 1 : 0).map((t) =>
    multistep ? roundEven(t) : t,
  );
  const plain = places.map((t) => atRatio(between(ratios, t), t));
  const levels = schedule.karras ? karrasLevels(schedule, ratios, plain, multistep) : plain;
  const { alpha, sigma } = levels[0];
  const fullStart = multistep || schedule.spacing === 'leading';
  return {
    levels: [...levels, { t: 0, alpha: 1, sigma: 0 }],
    start: fullStart ? Math.hypot(alpha, sigma) : sigma,
  };
}

/** Ratios spaced as Karras et al. (2022, eq. 5) do, between the ends of the plain ones. */
function karrasLevels(
  schedule: DdpmSchedule,
  ratios: Float64Array,
  plain: readonly Level[],
  multistep: boolean,
): Level[] {
  const ratio = ({ sigma, alpha }: Level) => sigma / alpha;
  const [max, min] = multistep ? [ratios.at(-1)!, ratios[0]] : [ratio(plain[0]), ratio(plain.at(-1)!)];
  const logs = ratios.map(Math.log);
  const whole = multistep && !schedule.cosine;
  return karras(min, max, 7, plain.length).map((r) => {
    const t = placeOf(logs, Math.log(r));
    return atRatio(r, whole ? roundEven(t) : t);
  });
}

function karras(min: number, max: number, rho: number, steps: number): number[] {
  const [from, to] = [max ** (1 / rho), min ** (1 / rho)];
  return Array.from(
    { length: steps },
    (_, i) => (from + (steps > 1 ? i / (steps - 1) : 0) * (to - from)) ** rho,
  );
}

/** A table's value between two places. */
function between(table: Float64Array, place: number): number {
  const at = Math.min(Math.max(place, 0), table.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, table.length - 1);
  return table[low] + (at - low) * (table[high] - table[low]);
}

/** Where a rising table has the value. */
function placeOf(table: Float64Array, value: number): number {
  const above = table.findIndex((v) => v > value);
  const low = Math.min(Math.max(above < 0 ? table.length - 1 : above - 1, 0), table.length - 2);
  const share = (value - table[low]) / (table[low + 1] - table[low]);
  return low + Math.min(Math.max(share, 0), 1);
}

function flowLevels({ steps: count, shift }: FlowSchedule, steps: number): Levels {
  const shifted = (s: number) => (shift * s) / (1 + (shift - 1) * s);
  const [max, min] = [1, shifted(1 / count)];
  const levels = Array.from({ length: steps }, (_, i) => {
    // The ends are shifted already, and diffusers shifts what lies between them, ends and all.
    const sigma = shifted(max + ((min - max) * i) / Math.max(steps - 1, 1));
    return { t: sigma * count, alpha: 1 - sigma, sigma };
  });
  return { levels: [...levels, { t: 0, alpha: 1, sigma: 0 }], start: 1 };
}

function edmLevels({ sigmaMin, sigmaMax, rho }: EdmSchedule, steps: number): Levels {
  const levels = karras(sigmaMin, sigmaMax, rho, steps).map((sigma) => ({
    t: Math.log(sigma) / 4,
    alpha: 1,
    sigma,
  }));
  return { levels: [...levels, { t: 0, alpha: 1, sigma: 0 }], start: Math.hypot(sigmaMax, 1) };
}
