import type * as P from '../../workers/protocol.ts';
import { targeted, weights } from '../text/targets.ts';
import { backbones } from './fakeCatalogue.ts';

/** A cost of the right order: exact parameters, guessed memory and time. */
export function estimateOf(plan: P.RunPlan, images: number, timed: boolean): P.Estimate {
  const { settings, backbone, method } = plan;
  const card = backbones.find((b) => b.id === backbone)!;
  const targets = method === 'lora' ? targeted(card, settings['target_modules'] as string[]) : [];
  const r = Number(settings['r'] ?? 0);
  const learned = targets.reduce((sum, m) => sum + r * (m.shape[0]! + weights(m) / m.shape[0]!), 12_810);
  const batch = Number(settings['batch_size']);
  const steps = Math.ceil(images / batch) * Number(settings['epochs']);
  const memory = {
    weights: card.bytes * 2,
    activations: batch * 9_000_000,
    optimiser: learned * 12,
    cache: images * 40_000,
  };
  return {
    trainableParameters: learned,
    totalParameters: card.parameters + learned,
    memory: { ...memory, total: memory.weights + memory.activations + memory.optimiser + memory.cache },
    fileBytes: learned * 4 + 4000,
    seconds: timed ? steps * 0.12 : null,
    steps,
    frozenShare: method === 'lora' ? 0.31 : 1,
    warnings: r > 32 ? ['Rank above 32 on this few pictures tends to overfit.'] : [],
    targets: targets.map((m) => m.path),
  };
}
