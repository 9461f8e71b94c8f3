import { galoreDelta, stateFloats } from '../../../models/methods/galore.ts';
import { matrixOf } from '../../../models/methods/math/matrix.ts';
import { svd } from '../../../models/methods/math/svd.ts';
import type { Trained } from '../arena.ts';
import type { Claim } from '../claim.ts';
import { lastStage, race } from '../race.ts';

const RANK = 8;

/** Zhao et al., 2024, tables 1 and 2: whole weights learnt on a fraction of Adam's memory, beyond LoRA's rank. */
export const galore: Claim = {
  method: 'galore',
  title: 'GaLore below LoRA’s loss on a fraction of Adam’s memory',
  property:
    'GaLore of 8 directions, taken anew every 20 steps, against LoRA of rank 8 from the same seeds for the same steps. It holds when the mean loss of the last ten steps is at most LoRA’s, the rank of what a weight moved by is more than 8, and the optimiser keeps at most 40 % of what Adam would for the same weights.',
  steps: 120,

  prove: (options) => {
    let share = 0;
    return race(options, {
      ours: ['galore', { r: RANK, update_proj_gap: 20 }],
      baseline: ['lora', { r: RANK, lora_alpha: 2 * RANK }],
      lr: 3e-3,
      async inspect(run) {
        const { modules } = run.session.options.model;
        const targets = modules.filter((m) => run.session.attachment.targets.includes(m.path));
        const sizes = targets.map((m) => [m.shape[0], m.shape.slice(1).reduce((n, d) => n * d, 1)] as const);
        const { galore, adam } = stateFloats(sizes, RANK);
        share = galore / adam;
        return rankOf(run);
      },
      judge(ours, baseline) {
        const loss = (side: typeof ours) => side.reduce((n, r) => n + r.loss, 0) / side.length;
        const rank = Math.min(...ours.map((r) => r.found));
        const below = 1 - loss(ours) / loss(baseline);
        return {
          margin: Math.min(below, rank - RANK - 1, 0.4 - share),
          says: `Loss ${(100 * below).toFixed(1)} % below; rank ${rank} at least; ${(100 * share).toFixed(1)} % of Adam’s state.`,
        };
      },
    });
  },
};

/** Numerical rank of what the first target moved by. */
async function rankOf({ session }: Trained): Promise<number> {
  const path = lastStage[0];
  const data = galoreDelta(path, await session.trained());
  const { shape } = session.options.model.modules.find((m) => m.path === path)!;
  const { values } = svd(matrixOf({ shape, data }));
  return values.filter((v) => v > 1e-4 * values[0]).length;
}
