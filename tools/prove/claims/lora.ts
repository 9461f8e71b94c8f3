import type { Settings } from '../../../models/describe.ts';
import { argmax } from '../../../workers/session/metrics.ts';
import { fitProbe, type LabelledFeatures, probeLogits } from '../../../workers/session/probe.ts';
import { epochsOf, mean, openArena, share, trainRun, withFewer } from '../arena.ts';
import type { Claim, Outcome, ProofOptions } from '../claim.ts';
import { margin, scoreOf, showMargin, showScore } from '../paired.ts';

/** Hu et al., 2022, in the studio's own first use: photographs on the default backbone. */
export const lora: Claim = {
  method: 'lora',
  title: 'LoRA against a probe',
  property:
    "The default backbone with the method's defaults, against two linear probes on the same frozen features: one trained for the same steps, and one run to convergence whose penalty is chosen on the test pictures themselves, which favours it. It holds when the 95 % intervals of both paired margins lie above zero for every seed.",
  steps: 200,

  prove: (options) =>
    againstProbes(options, {
      data: 'sign-digits',
      // Smaller pictures than the backbone's own, so that a machine without a GPU finishes in minutes.
      common: { image_size: 128, batch_size: 32, lr: 3e-3, schedule: 'cosine' },
      says: 'steps of 32 at 3e-3, cosine; rank 8, alpha 16',
    }),
};

export interface Trial {
  data: string;
  backbone?: string;
  common: Settings;
  /** Training samples of each class, the first ones; all where it is left out. */
  perClass?: number;
  /** Test samples of each class, likewise. */
  testPerClass?: number;
  /** Whether the converged probe is shown only, not judged by. */
  convergedShown?: boolean;
  /** Of LoRA alone. */
  lora?: Settings;
  /** The steps' number goes before it. */
  says: string;
}

/** LoRA against a probe of as many steps and against a converged one, whose penalty is chosen on the test samples. */
export async function againstProbes(
  { seeds, steps, data }: ProofOptions,
  trial: Trial,
): Promise<Outcome | null> {
  const whole = await openArena({ data: data ?? trial.data, backbone: trial.backbone, common: trial.common });
  if (!whole) return null;
  const arena = trial.perClass ? withFewer(whole, trial.perClass, trial.testPerClass) : whole;
  const epochs = epochsOf(arena, steps);
  const table = [
    '| seed | LoRA | probe, same steps | probe, converged | margin over the first | over the second | minutes |',
    '|---|---|---|---|---|---|---|',
  ];
  const ours: number[] = [];
  const baseline: number[] = [];
  const lows: number[] = [];
  let tuned: boolean[] | undefined;
  for (let seed = 1; seed <= seeds; seed++) {
    const probe = await trainRun(arena, 'linear-probe', { epochs, seed });
    tuned ??= tunedProbe(
      probe.session.labelled('train'),
      probe.session.labelled('test'),
      arena.dataset.classes.length,
    );
    probe.session.destroy();
    const run = await trainRun(arena, 'lora', { ...trial.lora, epochs, seed });
    run.session.destroy();
    const margins = [margin(run.hits, probe.hits), margin(run.hits, tuned)];
    const cells = [run.hits, probe.hits, tuned].map((hits) => showScore(scoreOf(hits)));
    table.push(
      `| ${[seed, ...cells, ...margins.map(showMargin), (run.seconds / 60).toFixed(1)].join(' | ')} |`,
    );
    ours.push(share(run.hits));
    baseline.push(trial.convergedShown ? share(probe.hits) : Math.max(share(probe.hits), share(tuned)));
    lows.push(...margins.slice(0, trial.convergedShown ? 1 : 2).map((m) => m.low));
  }
  arena.gpu.destroy();
  const worst = Math.min(...lows);
  return {
    what: `${arena.what}, ${steps} ${trial.says}`,
    ours: mean(ours),
    baseline: mean(baseline),
    margin: worst,
    seeds,
    holds: worst > 0,
    table,
  };
}

function tunedProbe(train: LabelledFeatures, test: LabelledFeatures, classes: number): boolean[] {
  const probe = fitProbe(train, test, classes);
  return test.features.map((f, i) => argmax(probeLogits(probe, f)) === test.labels[i]);
}
