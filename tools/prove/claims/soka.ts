import type { Claim } from '../claim.ts';
import { lead, points, race, shareOfSteps } from '../race.ts';

/** SoKA, 2025: fewer numbers than LoRA, no worse, and sooner. */
export const soka: Claim = {
  method: 'soka',
  title: 'SoKA with fewer numbers than LoRA',
  property:
    'SoKA of at most 6 terms a layer against LoRA of rank 8 from the same seeds on the same batches. It holds when SoKA has at most 75 % of the numbers, a mean accuracy at most 1 point below, and reaches the loss that LoRA ends with in at most 70 % of its steps.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['soka', { r: 6, rule: 'all' }],
      baseline: ['lora', { r: 8, lora_alpha: 8 }],
      lr: 1e-3,
      judge(ours, baseline, steps) {
        const size = ours[0].size / baseline[0].size;
        const [used, ahead] = [shareOfSteps(ours, baseline, steps), lead(ours, baseline)];
        return {
          margin: Math.min(0.75 - size, 0.7 - used, ahead + 0.01),
          says: `${(100 * size).toFixed(0)} % of the numbers; the loss that LoRA ends with after ${(100 * used).toFixed(0)} % of the steps; ahead by ${points(ahead)}.`,
        };
      },
    }),
};
