import { byteSize, gradients, isParameter, nodesOf } from '../../../gpu-shaders/index.ts';
import { trainablesOf } from '../../../gpu-shaders/train/step.ts';
import { lora } from '../../../models/methods/lora.ts';
import { costsOf, liveTrace, type RunShape } from '../../../workers/session/programs.ts';
import type { Trained } from '../arena.ts';
import type { Claim } from '../claim.ts';
import { lead, points, race } from '../race.ts';

const LORA = { r: 8, lora_alpha: 8 };

/** Woo et al., 2025, tables 1 and 2: LoRA's quality on fewer kept activations. */
export const paca: Claim = {
  method: 'paca',
  title: 'PaCA keeps less for the backward pass than LoRA',
  property:
    'PaCA of 12 columns against LoRA of rank 8, which has somewhat more numbers, from the same seeds for the same steps. It holds when its mean accuracy is at most 2 points below, and the forward values that its backward pass reads take fewer bytes, and the planned peak of memory, which may be the frozen prefix’s, is no larger.',
  steps: 120,

  prove: (options) => {
    let memory = '';
    return race(options, {
      ours: ['paca', { r: 12, lora_alpha: 12 }],
      baseline: ['lora', LORA],
      lr: 3e-3,
      async inspect({ session }: Trained) {
        const shape = session.shape;
        const settings = { ...shape.settings, ...LORA, use_rslora: false, lora_dropout: 0 };
        const other: RunShape = { ...shape, settings, attachment: lora.attach(shape.model, settings) };
        const [own, theirs] = [shape, other].map((s) => ({
          kept: keptBytes(s),
          peak: costsOf(s, 2 ** 31).arenaBytes,
        }));
        const mb = (bytes: number) => (bytes / 1e6).toFixed(2);
        memory = `Kept for the backward pass: ${mb(own.kept)} MB against ${mb(theirs.kept)}; planned peak ${mb(own.peak)} MB against ${mb(theirs.peak)}.`;
        return own.peak > theirs.peak ? 1 : own.kept / theirs.kept;
      },
      judge(ours, baseline) {
        const ahead = lead(ours, baseline);
        return {
          margin: Math.min(ahead + 0.02, 1 - Math.max(...ours.map((r) => r.found))),
          says: `${memory} Ahead by ${points(ahead)}.`,
        };
      },
    });
  },
};

/** Bytes of forward values, parameters left out, that the backward pass reads: before kernels are fused. */
function keptBytes(shape: RunShape): number {
  const { loss } = liveTrace(shape);
  const forward = new Set(nodesOf([loss]));
  const found = gradients(loss, [...trainablesOf([loss]).values()]);
  const kept = new Set(
    nodesOf(found)
      .filter((n) => !forward.has(n))
      .flatMap((n) => n.inputs)
      .filter((t) => forward.has(t.node) && !isParameter(t)),
  );
  return [...kept].reduce((n, t) => n + byteSize(t), 0);
}
