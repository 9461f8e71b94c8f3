import type { Claim } from '../claim.ts';
import { lead, points, race } from '../race.ts';

/** Kopiczko et al., 2024, table 2: an order of magnitude fewer numbers for the same quality. */
export const vera: Claim = {
  method: 'vera',
  title: 'VeRA with a tenth of the numbers of LoRA',
  property:
    'VeRA of width 1024 against LoRA of rank 16 from the same seeds for the same steps. It holds when VeRA has at most a tenth of the numbers and a mean accuracy at most 2 points below.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['vera', { r: 1024 }],
      baseline: ['lora', { r: 16, lora_alpha: 16 }],
      lr: 3e-3,
      judge(ours, baseline) {
        const size = ours[0].size / baseline[0].size;
        const ahead = lead(ours, baseline);
        return {
          margin: Math.min(0.1 - size, ahead + 0.02),
          says: `${(100 * size).toFixed(1)} % of the numbers; ahead by ${points(ahead)}.`,
        };
      },
    }),
};
