import type { Claim } from '../claim.ts';
import { lead, points, race, shareOfSteps } from '../race.ts';

/** Meng et al., 2024, figure 4: the strongest directions learn faster than random ones. */
export const pissa: Claim = {
  method: 'pissa',
  title: 'PiSSA reaches the loss of LoRA sooner',
  property:
    'PiSSA and LoRA of rank 8 and scale 1 from the same seeds on the same batches. It holds when PiSSA reaches the loss that LoRA ends with in at most 80 % of its steps, in the mean over the seeds, and its mean accuracy is at most 1 point below.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['pissa', { r: 8, lora_alpha: 8 }],
      baseline: ['lora', { r: 8, lora_alpha: 8 }],
      lr: 1e-3,
      judge(ours, baseline, steps) {
        const [used, ahead] = [shareOfSteps(ours, baseline, steps), lead(ours, baseline)];
        return {
          margin: Math.min(0.8 - used, ahead + 0.01),
          says: `The loss that LoRA ends with after ${(100 * used).toFixed(0)} % of the steps; ahead by ${points(ahead)}.`,
        };
      },
    }),
};
