import { adapterFileBytes } from '../../../models/methods/lowPrecisionParts.ts';
import type { Claim } from '../claim.ts';
import { lead, points, race } from '../race.ts';

/** Jie et al., 2023, table 5: for the same bytes, many numbers of one bit beat few of 32. */
export const lowPrecision: Claim = {
  method: 'low-precision',
  title: 'Thirty-two one-bit directions against one of floats',
  property:
    'LoRA of rank 32 with one bit a number against LoRA of rank 1 with 32, whose files are about as large, from the same seeds for the same steps. It holds when the mean accuracy is higher and the packed file is at most 1 % larger.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['low-precision', { bits: '1', r: 32 }],
      baseline: ['lora', { r: 1, lora_alpha: 2 }],
      lr: 3e-3,
      inspect: async ({ session }) => adapterFileBytes(session.attachment, session.options.settings),
      judge(ours, baseline) {
        const ahead = lead(ours, baseline);
        const [own, other] = [ours[0].found, 4 * baseline[0].size];
        return {
          margin: Math.min(ahead, 1.01 - own / other),
          says: `${own} bytes against ${other}; ahead by ${points(ahead)}.`,
        };
      },
    }),
};
