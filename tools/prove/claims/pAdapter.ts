import type { Settings } from '../../../models/describe.ts';
import { methodById } from '../../../models/methods/index.ts';
import {
  type Arena,
  adapterSize,
  epochsOf,
  mean,
  openArena,
  share,
  type Trained,
  trainRun,
} from '../arena.ts';
import type { Claim } from '../claim.ts';
import { scoreOf, showScore } from '../paired.ts';

/** Wu et al., 2024: messages along the attention against plain bottlenecks of at least the size. */
export const pAdapter: Claim = {
  method: 'p-adapter',
  title: 'p-Adapter against plain bottlenecks',
  property:
    'On the small vision transformer, p-Adapter with its adapters beside the MLPs, against plain bottlenecks behind attention and MLP with at least as many numbers, trained for the same steps. It holds when the mean over the seeds is not below theirs and every learnt p has moved by more than 0.001.',
  steps: 150,

  async prove({ seeds, steps, data = 'cifar10' }) {
    const common = { image_size: 32, batch_size: 32, lr: 3e-3, schedule: 'cosine', last_blocks: 2 };
    const arena = await openArena({ data, backbone: 'graft-vit', common });
    if (!arena) return null;
    const epochs = epochsOf(arena, steps);
    const plain = noSmaller(arena);
    const table = [
      '| seed | p-Adapter | plain bottlenecks | p by layer | numbers |',
      '|---|---|---|---|---|',
    ];
    const found = { ours: [] as number[], theirs: [] as number[] };
    let moved = Number.POSITIVE_INFINITY;
    for (let seed = 1; seed <= seeds; seed++) {
      const run = await trainRun(arena, 'p-adapter', { epochs, seed });
      const ps = await learntP(run);
      const other = await trainRun(arena, 'vl-adapter', { ...plain, epochs, seed });
      const sizes = [run, other].map(({ session }) => adapterSize(session));
      for (const { session } of [run, other]) session.destroy();
      moved = Math.min(moved, ...ps.map((p) => Math.abs(p - run.knobs.p)));
      found.ours.push(share(run.hits));
      found.theirs.push(share(other.hits));
      const cells = [run.hits, other.hits].map((hits) => showScore(scoreOf(hits)));
      table.push(
        `| ${[seed, ...cells, ps.map((p) => p.toFixed(3)).join(', '), sizes.join(' and ')].join(' | ')} |`,
      );
    }
    arena.gpu.destroy();
    const [ours, baseline] = [mean(found.ours), mean(found.theirs)];
    const margin = Math.min(ours - baseline, moved - 0.001);
    return {
      what: `${arena.what}, ${steps} steps of 32 at 3e-3, cosine; p 1.25, mu 0.1, reduction 8, last 2 blocks`,
      ours,
      baseline,
      margin,
      seeds,
      holds: margin >= 0,
      table,
    };
  },
};

/** The narrowest plain bottlenecks that are no smaller than p-Adapter. */
function noSmaller({ backbone, common }: Arena): Settings {
  const sizeOf = (id: string, settings: Settings) => {
    const method = methodById(id);
    const defaults = Object.fromEntries(method.card.settings.map((s) => [s.key, s.default]));
    const { parameters } = method.attach(backbone.model, { ...defaults, ...common, ...settings });
    return parameters.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0);
  };
  const size = sizeOf('p-adapter', {});
  let reduction = 8;
  while (reduction > 1 && sizeOf('vl-adapter', { reduction }) < size) reduction--;
  return { sharing: 'single', reduction };
}

async function learntP({ session, knobs }: Trained): Promise<number[]> {
  const tensors = await session.trained();
  return [...tensors].filter(([name]) => name.endsWith('.p_adapter.p')).map(([, t]) => knobs.p + t.data[0]);
}
