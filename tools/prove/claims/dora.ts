import type { Claim } from '../claim.ts';
import { lead, points, race } from '../race.ts';

/** Liu et al., 2024, table 1: magnitude and direction apart, against LoRA of at least the size. */
export const dora: Claim = {
  method: 'dora',
  title: 'DoRA against a larger LoRA',
  property:
    'DoRA of rank 4 against LoRA of rank 6, which has at least as many numbers, from the same seeds for the same steps. It holds when the mean accuracy over the seeds is not below by more than half a point.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['dora', { r: 4, lora_alpha: 8 }],
      baseline: ['lora', { r: 6, lora_alpha: 12 }],
      lr: 3e-3,
      judge(ours, baseline) {
        if (ours[0].size > baseline[0].size) throw new Error('DoRA has more numbers than its baseline.');
        const ahead = lead(ours, baseline);
        return { margin: ahead + 0.005, says: `DoRA is ahead by ${points(ahead)} on average.` };
      },
    }),
};
