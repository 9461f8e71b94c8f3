import { restore, switchIn } from '../../../models/methods/math/sparse.ts';
import { addProduct } from '../../../models/methods/merge.ts';
import { shiraUpdates } from '../../../models/methods/shiraMask.ts';
import type { Trained } from '../arena.ts';
import type { Claim } from '../claim.ts';
import { lead, points, race } from '../race.ts';

const RANK = 4;
const ROUNDS = 20;

/** Bhardwaj et al., 2024, tables 1 and 5: the quality of LoRA, and adapters that change places in no time. */
export const shira: Claim = {
  method: 'shira',
  title: 'SHiRA as good as LoRA, and quicker to switch',
  property:
    'SHiRA with as many entries as a LoRA of rank 4 has numbers, from the same seeds for the same steps. It holds when its mean accuracy is at most 2 points below LoRA’s, and bringing it into fused weights and taking it out again (the weights back to the bit) takes less time than adding LoRA’s product and taking it off.',
  steps: 120,

  prove: (options) =>
    race(options, {
      ours: ['shira', { r: RANK }],
      baseline: ['lora', { r: RANK, lora_alpha: 2 * RANK }],
      lr: 3e-3,
      inspect: switchRatio,
      judge(ours, baseline) {
        const ratio = Math.min(...ours.map((r) => r.found));
        const ahead = lead(ours, baseline);
        return {
          margin: Math.min(ahead + 0.02, ratio - 1),
          says: `Switched ${ratio.toFixed(1)} times as fast as LoRA fuses and unfuses, at least; ahead by ${points(ahead)}.`,
        };
      },
    }),
};

/** Time of LoRA's fusing and unfusing of the targets over that of SHiRA's switch; throws where a bit is not restored. */
async function switchRatio({ session }: Trained): Promise<number> {
  const { settings } = session.options;
  const { base, attachment } = session;
  const updates = shiraUpdates(attachment, settings, await session.trained());
  let [sparse, low] = [0, 0];
  for (const { path, rows, columns, ...update } of updates) {
    const before = await base.weight(`${path}.weight`);
    const weight = before.slice();
    const from = performance.now();
    for (let i = 0; i < ROUNDS; i++) restore(weight, switchIn(weight, update));
    sparse += performance.now() - from;
    if (weight.some((w, i) => !Object.is(w, before[i])))
      throw new Error(`Switching out of '${path}' did not restore every bit.`);
    // Which numbers LoRA's factors hold does not change how long their product takes.
    const a = { shape: [RANK, columns], data: new Float32Array(RANK * columns).fill(0.01) };
    const b = { shape: [rows, RANK], data: new Float32Array(rows * RANK).fill(0.01) };
    const fused = performance.now();
    addProduct(addProduct(weight, { a, b, scale: 1 }), { a, b, scale: -1 });
    low += (performance.now() - fused) * ROUNDS;
  }
  return low / sparse;
}
