import { parseArgs } from 'node:util';
import {
  apgDefaults,
  type Guidance,
  type GuidanceRule,
  guidanceOf,
  guidanceRules,
} from '../../models/guidance/guide.ts';
import type { SamplerKind } from '../../models/samplers/levels.ts';
import { UsageError } from './args.ts';

export const samplers = [
  'ddim',
  'ddpm',
  'euler',
  'ancestral',
  'heun',
  'dpm++',
] as const satisfies SamplerKind[];

const text = { type: 'string' } as const;
const options = {
  backbone: text,
  adapter: text,
  weak: text,
  'weak-scale': text,
  rule: text,
  scale: text,
  eta: text,
  limit: text,
  momentum: text,
  from: text,
  to: text,
  rescale: text,
  sampler: text,
  noise: text,
  steps: text,
  seed: text,
  class: text,
  count: text,
  size: text,
  out: text,
  dump: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const sampleHelp = `graft sample: draw pictures with a frozen diffusion model.

  graft sample --backbone graft-dit|FOLDER --out DIR [options]

  --class NAME|NUMBER|all|none   what to draw (all: each class in turn)
  --count 16  --seed 1  --steps 25  --size SIDE (of latents; the native one by default)
  --sampler ${samplers.join('|')} (ddim)  --noise 0 (share of noise that ddim draws anew)
  --rule ${guidanceRules.join('|')} (cfg)  --scale 3
  --eta 0 --limit 15 --momentum -0.5   of apg
  --from 0 --to 1                      shares of noise between which guidance acts
  --rescale 0                          how far the contrast is brought back
  --weak FOLDER --weak-scale 2         autoguidance by a worse version of the model
  --adapter FILE                       a LoRA in diffusers' layout
  --dump                               the latents of each step, as steps.safetensors

Writes NNN.png for each sample, sheet.png, and run.json with the figures of each step.`;

export interface SampleArguments {
  backbone: string;
  adapter?: string;
  weak?: string;
  guidance: Guidance;
  sampler: SamplerKind;
  noise: number;
  steps: number;
  seed: number;
  class: string;
  count: number;
  size?: number;
  out: string;
  dump: boolean;
}

/** Reads the command line behind `sample`; null where help is asked for. Throws `UsageError`. */
export function parseSample(argv: readonly string[]): SampleArguments | null {
  const values = read(argv);
  if (values.help) return null;
  if (!values.out) throw new UsageError("--out is missing. See 'graft sample --help'.");
  return {
    backbone: values.backbone ?? 'graft-dit',
    adapter: values.adapter,
    weak: values.weak,
    guidance: guidanceIn(values),
    sampler: oneOf('sampler', values.sampler ?? 'ddim', samplers),
    noise: numberOf('noise', values.noise, 0),
    steps: numberOf('steps', values.steps, 25),
    seed: numberOf('seed', values.seed, 1),
    class: values.class ?? 'all',
    count: numberOf('count', values.count, 16),
    size: values.size === undefined ? undefined : numberOf('size', values.size, 0),
    out: values.out,
    dump: values.dump ?? false,
  };
}

type Values = ReturnType<typeof read>;

function read(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function guidanceIn(values: Values): Guidance {
  const rule = oneOf<GuidanceRule>('rule', values.rule ?? 'cfg', guidanceRules);
  const limit =
    values.limit === 'none' ? Number.POSITIVE_INFINITY : numberOf('limit', values.limit, apgDefaults.limit);
  const chosen = guidanceOf(rule, numberOf('scale', values.scale, 3), {
    eta: numberOf('eta', values.eta, apgDefaults.eta),
    limit,
    momentum: numberOf('momentum', values.momentum, apgDefaults.momentum),
  });
  const [from, to] = chosen.interval;
  return {
    ...chosen,
    interval: [numberOf('from', values.from, from), numberOf('to', values.to, to)],
    rescale: numberOf('rescale', values.rescale, chosen.rescale),
    autoScale: values.weak ? numberOf('weak-scale', values['weak-scale'], 2) : 1,
  };
}

function numberOf(name: string, value: string | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  const n = Number(value);
  if (value.trim() === '' || !Number.isFinite(n))
    throw new UsageError(`--${name} takes a number, not '${value}'.`);
  return n;
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((a) => a === value);
  if (found) return found;
  throw new UsageError(`--${name} takes one of ${allowed.join(', ')}, not '${value}'.`);
}
