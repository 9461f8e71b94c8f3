import { mean } from '../arena.ts';
import type { Claim } from '../claim.ts';
import { lead, points, race } from '../race.ts';

/** Zhang et al., 2023, table 1: a budget moved between layers against the same budget spread evenly. */
export const adalora: Claim = {
  method: 'adalora',
  title: 'AdaLoRA against LoRA of its final budget',
  property:
    'AdaLoRA cut from rank 6 to a mean of 4 against LoRA of rank 4 from the same seeds for the same steps. It holds when the ranks left are within the budget, and the mean accuracy over the seeds is at most half a point below.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['adalora', { init_r: 6, target_r: 4, lora_alpha: 12 }],
      baseline: ['lora', { r: 4, lora_alpha: 8 }],
      lr: 3e-3,
      async inspect({ session }) {
        const tensors = await session.trained();
        const kept = [...tensors].filter(([name]) => name.endsWith('.lora_kept')).map(([, t]) => t.data);
        console.log(`ranks left: ${kept.map((k) => k.reduce((a, b) => a + b, 0)).join(', ')}`);
        return mean(kept.map((k) => k.reduce((a, b) => a + b, 0)));
      },
      judge(ours, baseline) {
        const ahead = lead(ours, baseline);
        const left = Math.max(...ours.map((r) => r.found));
        return {
          margin: Math.min(4 - left, ahead + 0.005),
          says: `Mean rank left: ${left.toFixed(2)}; ahead by ${points(ahead)}.`,
        };
      },
    }),
};
