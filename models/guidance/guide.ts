import type { Level } from '../samplers/levels.ts';
import { type ClassifierGradient, cleanPerMean, type EluCdSettings, eluCdSchedule } from './classifier.ts';
import { type ApgSettings, apgUpdate, type Batch, difference, inInterval, rescaled, steer } from './rules.ts';
import { type GuidanceStatistics, statisticsOf } from './statistics.ts';

/** What steers a sampling run. Everything can be on at once. */
export interface Guidance {
  /** w of Dc + (w - 1) · (Dc - Du); 1 for none. */
  scale: number;
  /** Project, limit and carry the update; null for plain classifier-free guidance. */
  apg: ApgSettings | null;
  /** Noise shares between which the update acts. */
  interval: readonly [number, number];
  /** How far the contrast is brought back to the conditional prediction's, 0 to 1. */
  rescale: number;
  /** w of autoguidance, Dc + (w - 1) · (Dc - Dweak); 1 for none. */
  autoScale: number;
  /** Guidance by a classifier; null for none. */
  classifier: EluCdSettings | null;
}

export const noGuidance: Guidance = {
  scale: 1,
  apg: null,
  interval: [0, 1],
  rescale: 0,
  autoScale: 1,
  classifier: null,
};

/** Defaults of adaptive projected guidance: no part along the prediction, and a reversed momentum. */
export const apgDefaults: ApgSettings = { eta: 0, limit: 15, momentum: -0.5 };

export const guidanceRules = ['none', 'cfg', 'interval', 'rescaled', 'apg'] as const;
export type GuidanceRule = (typeof guidanceRules)[number];

/** A rule by its name at a scale, its other settings at their defaults. */
export function guidanceOf(rule: GuidanceRule, scale: number, apg: ApgSettings = apgDefaults): Guidance {
  switch (rule) {
    case 'none':
      return noGuidance;
    case 'cfg':
      return { ...noGuidance, scale };
    case 'interval':
      return { ...noGuidance, scale, interval: [0.15, 0.75] };
    case 'rescaled':
      return { ...noGuidance, scale, rescale: 0.7 };
    case 'apg':
      return { ...noGuidance, scale, apg };
  }
}

/** Predictions of a step beside the conditional one that a guidance asks for at a level. */
export const needs = (guidance: Guidance, level: Level): { unconditional: boolean; weak: boolean } => ({
  unconditional: guidance.scale !== 1 && inInterval(level, guidance.interval),
  weak: guidance.autoScale !== 1 && inInterval(level, guidance.interval),
});

/** Clean predictions of a step. */
export interface Predictions {
  conditional: Batch;
  unconditional?: Batch;
  weak?: Batch;
}

export interface GuiderOptions {
  guidance: Guidance;
  /** All levels of the sampler, with the end. */
  levels: readonly Level[];
  count: number;
  channels: number;
  gradient?: ClassifierGradient;
}

/** Applies a guidance over the steps of one sampling run; it holds the momentum. */
export class Guider {
  private carried: Batch | null = null;
  private readonly pushes: number[];

  constructor(private readonly options: GuiderOptions) {
    const { guidance, levels } = options;
    this.pushes = guidance.classifier ? eluCdSchedule(levels, guidance.classifier) : [];
  }

  /** The guided clean prediction of a step, and its figures. */
  async apply(step: number, found: Predictions): Promise<{ clean: Batch; statistics: GuidanceStatistics }> {
    const { guidance, count, channels } = this.options;
    const { conditional, unconditional, weak } = found;
    let clean = conditional;
    const delta = unconditional ? difference(conditional, unconditional) : null;
    if (delta) clean = steer(clean, this.updateOf(conditional, delta), guidance.scale);
    if (weak) clean = steer(clean, difference(conditional, weak), guidance.autoScale);
    if (guidance.rescale && clean !== conditional)
      clean = rescaled(clean, conditional, guidance.rescale, count);
    if (guidance.classifier) clean = await this.pushed(step, clean);
    const against = delta ?? (weak ? difference(conditional, weak) : null);
    return { clean, statistics: statisticsOf(conditional, clean, against, { count, channels }) };
  }

  private updateOf(conditional: Batch, delta: Batch): Batch {
    const { guidance, count } = this.options;
    if (!guidance.apg) return delta;
    const { update, carried } = apgUpdate(conditional, delta, this.carried, guidance.apg, count);
    this.carried = carried;
    return update;
  }

  /** Moves the prediction so that the step's mean moves along the classifier's gradient as scheduled. */
  private async pushed(step: number, clean: Batch): Promise<Batch> {
    const { gradient, levels } = this.options;
    if (!gradient) throw new Error('Classifier guidance needs the gradient of a classifier.');
    const by = this.pushes[step] * cleanPerMean(levels[step], levels[step + 1]);
    if (by === 0) return clean;
    const g = await gradient(clean);
    return clean.map((c, i) => c + by * g[i]);
  }
}
