import type { Settings } from '../../models/describe.ts';
import {
  type Arena,
  adapterSize,
  epochsOf,
  mean,
  openArena,
  share,
  type Trained,
  trainRun,
} from './arena.ts';
import type { Outcome, ProofOptions } from './claim.ts';
import { scoreOf, showScore } from './paired.ts';

/** 1×1 convolutions of the default backbone's last stage: all before them is computed once. */
export const lastStage = ['blocks.6.0.conv_pw', 'blocks.6.0.conv_pwl', 'conv_head'];

/** Steps over which a loss is averaged. */
const WINDOW = 10;

/** A method's run, or LoRA's, on one seed. */
export interface Racer {
  accuracy: number;
  losses: number[];
  /** Mean loss of the last steps. */
  loss: number;
  /** Numbers trained, the head's left out. */
  size: number;
  /** What `inspect` found. */
  found: number;
}

export interface Race {
  /** Method and settings of both sides. */
  ours: [string, Settings];
  baseline: [string, Settings];
  lr: number;
  /** A number to be taken from our run before it is closed, e.g. a rank. */
  inspect?(run: Trained): Promise<number>;
  /** How far the property holds, over the seeds; and a line that says so. */
  judge(ours: Racer[], baseline: Racer[], steps: number): { margin: number; says: string };
}

/** Both sides from the same seeds, on the same batches, for the same steps: the last stage on sign digits by default. */
export async function race(
  { seeds, steps, data = 'sign-digits' }: ProofOptions,
  { ours, baseline, lr, inspect, judge }: Race,
): Promise<Outcome | null> {
  const common = { image_size: 64, batch_size: 32, lr, schedule: 'cosine', target_modules: lastStage };
  const arena = await openArena({ data, common });
  if (!arena) return null;
  const epochs = epochsOf(arena, steps);
  const sides: [Racer[], Racer[]] = [[], []];
  const table = [
    `| seed | ${ours[0]} | its loss | ${baseline[0]} | its loss | steps to that loss | numbers |`,
    '|---|---|---|---|---|---|---|',
  ];
  for (let seed = 1; seed <= seeds; seed++) {
    const cells: string[] = [];
    for (const [i, [id, settings]] of [ours, baseline].entries()) {
      const { racer, cell } = await run(arena, id, { ...settings, epochs, seed }, i ? undefined : inspect);
      sides[i].push(racer);
      cells.push(cell, racer.loss.toFixed(4));
    }
    const [own, other] = sides.map((side) => side.at(-1)!);
    const sizes = `${own.size} and ${other.size}`;
    table.push(`| ${[seed, ...cells, stepsTo(own.losses, other.loss), sizes].join(' | ')} |`);
  }
  arena.gpu.destroy();
  const { margin, says } = judge(...sides, steps);
  table.push('', says);
  const [accuracy, other] = sides.map((side) => mean(side.map((r) => r.accuracy)));
  return {
    what: `${arena.what}, ${steps} steps of 32 at ${lr}, cosine; the last stage`,
    ours: accuracy,
    baseline: other,
    margin,
    seeds,
    holds: margin >= 0,
    table,
  };
}

async function run(arena: Arena, id: string, settings: Settings, inspect: Race['inspect']) {
  const trained = await trainRun(arena, id, settings);
  const found = inspect ? await inspect(trained) : 0;
  const { session, hits, losses } = trained;
  session.destroy();
  const racer: Racer = {
    accuracy: share(hits),
    losses,
    loss: mean(losses.slice(-WINDOW)),
    size: adapterSize(session),
    found,
  };
  return { racer, cell: showScore(scoreOf(hits)) };
}

/** The first step at which the mean of the last ten losses is at most `level`; one more than all where it never is. */
export function stepsTo(losses: readonly number[], level: number): number {
  for (let step = WINDOW; step <= losses.length; step++)
    if (mean(losses.slice(step - WINDOW, step)) <= level) return step;
  return losses.length + 1;
}

/** Mean over the seeds of the steps to the other's final loss, as a share of all. */
export const shareOfSteps = (ours: readonly Racer[], baseline: readonly Racer[], steps: number): number =>
  mean(ours.map((r, i) => stepsTo(r.losses, baseline[i].loss))) / steps;

/** Mean of the differences in accuracy. */
export const lead = (ours: readonly Racer[], baseline: readonly Racer[]): number =>
  mean(ours.map((r, i) => r.accuracy - baseline[i].accuracy));

export const points = (x: number): string => `${(100 * x).toFixed(1)} points`;
