import { keptEntries, sftUpdates } from '../../../models/methods/ltSft.ts';
import type { Claim } from '../claim.ts';
import { lead, points, race } from '../race.ts';

/**
 * Ansell et al., 2022, 5.3: the mask that training finds against a random one. The paper's transfer between languages has
 * no like among pictures; what is shown is the part that it rests on.
 */
export const ltSft: Claim = {
  method: 'lt-sft',
  title: 'A mask found by training against a random one',
  property:
    'Composable sparse fine-tuning of 1 % of the weights against a random mask of as many, from the same seeds for the same steps. The paper’s transfer across languages is replaced by the control that it names, since the data are pictures of one domain. It holds when the mean accuracy is higher, and at most K entries of the weights differ from the start.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['lt-sft', { density: 1 }],
      baseline: ['lt-sft', { density: 1, selection: 'random' }],
      lr: 3e-3,
      async inspect({ session }) {
        const { settings } = session.options;
        const { attachment } = session;
        const updates = sftUpdates(attachment, settings, await session.trained());
        const total = attachment.parameters.reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);
        const changed = updates.reduce((n, u) => n + u.positions.length, 0);
        return keptEntries(total, settings) - changed;
      },
      judge(ours, baseline) {
        const ahead = lead(ours, baseline);
        const spare = Math.min(...ours.map((r) => r.found));
        return {
          margin: spare < 0 ? -1 : ahead,
          says: `Ahead by ${points(ahead)}; ${spare} of the K entries unchanged, at least.`,
        };
      },
    }),
};
