import type { ModuleCard } from '../../models/describe.ts';
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
    ...fitOf(batch, memory.activations),
    warnings: r > 32 ? ['Rank above 32 on this few pictures tends to overfit.'] : [],
    targets: targets.map((m) => m.path),
    ...pictured(targets[targets.length >> 1], r),
  };
}

/** LoRA at one module, in the plan's rank. */
function pictured(module: ModuleCard | undefined, r: number): Pick<P.Estimate, 'picture'> {
  if (!module || !r) return {};
  const [rows, columns] = [module.shape[0]!, weights(module) / module.shape[0]!];
  const tensor = (label: string, rows: number, columns: number, state: 'frozen' | 'learns') =>
    ({ kind: 'tensor', label, rows, columns, state, drawn: 'whole' }) as const;
  return {
    picture: {
      at: [module.kind === 'conv2d' ? 'convolutions' : 'attention weights'],
      path: module.path,
      terms: [
        tensor('W', rows, columns, 'frozen'),
        { kind: 'sign', text: '+' },
        tensor('B', rows, r, 'learns'),
        { kind: 'sign', text: '·' },
        tensor('A', r, columns, 'learns'),
      ],
    },
  };
}

/** A large batch does not fit; two settings would help. */
function fitOf(batch: number, activations: number): Pick<P.Estimate, 'problem' | 'offers'> {
  if (batch < 256) return { problem: null, offers: [] };
  return {
    problem:
      'A single intermediate value needs 160 MiB, and this GPU binds at most 128 MiB. Use a smaller batch or a smaller image size.',
    offers: [
      { label: 'Compute each batch in 2 parts', settings: { accumulate: 2 }, total: activations / 2 },
      { label: 'Batch size 64', settings: { batch_size: 64 }, total: activations / 4 },
    ],
  };
}
