import { mean } from '../arena.ts';
import type { Claim } from '../claim.ts';
import { lead, points, race } from '../race.ts';

/** Kalajdzievski, 2023, figure 1: alpha / r holds high ranks back, alpha / √r does not. */
export const rslora: Claim = {
  method: 'rslora',
  title: 'The rank-stabilised scale of LoRA at a high rank',
  property:
    'LoRA of rank 64 and alpha 8 with its scale divided by the root of the rank, against the same divided by the rank, from the same seeds on the same batches. It holds when the mean loss of the last steps is lower for every seed, and the mean accuracy is at most 1 point below.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['lora', { r: 64, lora_alpha: 8, use_rslora: true }],
      baseline: ['lora', { r: 64, lora_alpha: 8, use_rslora: false }],
      lr: 1e-3,
      judge(ours, baseline) {
        const lower = Math.min(...ours.map((r, i) => 1 - r.loss / baseline[i].loss));
        const ahead = lead(ours, baseline);
        const [own, other] = [ours, baseline].map((side) => mean(side.map((r) => r.loss)).toFixed(4));
        return {
          margin: Math.min(lower, ahead + 0.01),
          says: `Loss of the last steps ${own} against ${other}; ahead by ${points(ahead)}.`,
        };
      },
    }),
};
