import { costOfUse } from '../../../workers/session/costOfUse.ts';
import { adapterSize, epochsOf, mean, openArena, share, trainRun } from '../arena.ts';
import type { Claim } from '../claim.ts';
import { fullTuning } from '../fullTuning.ts';
import { scoreOf, showScore } from '../paired.ts';

/** Blocks that adapt: the default backbone's last two stages. */
const LAST_BLOCKS = 5;

/** Chen et al., 2022: close to full fine-tuning, far above a probe. */
export const adaptformer: Claim = {
  method: 'adaptformer',
  title: 'AdaptFormer against a probe and full fine-tuning',
  property:
    'Adapters beside the branches of the last 5 blocks, against a linear probe trained for the same steps and against training all layers of these blocks. It holds when the mean over the seeds lies at least 8 points above the probe, at most 3 below full fine-tuning, and the parallel form at most 1 below the sequential one.',
  steps: 120,

  async prove({ seeds, steps, data = 'sign-digits' }) {
    const arena = await openArena({
      data,
      common: { image_size: 64, batch_size: 32, lr: 3e-3, schedule: 'cosine' },
    });
    if (!arena) return null;
    const epochs = epochsOf(arena, steps);
    const adapter = { bottleneck: 64, scale: 1, last_blocks: LAST_BLOCKS };
    const runs = {
      parallel: ['adaptformer', { ...adapter, placement: 'parallel' }],
      sequential: ['adaptformer', { ...adapter, placement: 'sequential' }],
      probe: ['linear-probe', {}],
      full: [fullTuning, { last_blocks: LAST_BLOCKS, lr: 1e-3 }],
    } as const;
    type Name = keyof typeof runs;
    const names = Object.keys(runs) as Name[];
    const found = Object.fromEntries(names.map((n) => [n, [] as number[]])) as Record<Name, number[]>;
    const sizes = new Map<Name, number>();
    const table = ['| seed | parallel | sequential | probe | full |', '|---|---|---|---|---|'];
    let cost = '';
    for (let seed = 1; seed <= seeds; seed++) {
      const cells: string[] = [];
      for (const name of names) {
        const [method, settings] = runs[name];
        const { session, hits } = await trainRun(arena, method, { ...settings, epochs, seed });
        sizes.set(name, adapterSize(session));
        if (name === 'parallel') {
          const { frozen, adapted } = costOfUse(session.shape, 2 ** 30);
          cost = `${((100 * (adapted - frozen)) / frozen).toFixed(2)} % more operations at every use`;
        }
        session.destroy();
        found[name].push(share(hits));
        cells.push(showScore(scoreOf(hits)));
      }
      table.push(`| ${[seed, ...cells].join(' | ')} |`);
    }
    arena.gpu.destroy();
    const at = (name: Name) => mean(found[name]);
    table.push('', `Adapter: ${sizes.get('parallel')} numbers against ${sizes.get('full')}; ${cost}.`);
    const margin = Math.min(
      at('parallel') - at('probe') - 0.08,
      at('parallel') - at('full') + 0.03,
      at('parallel') - at('sequential') + 0.01,
    );
    return {
      what: `${arena.what}, ${steps} steps of 32 at 3e-3 (full: 1e-3), cosine; width 64, scale 1`,
      ours: at('parallel'),
      baseline: at('full'),
      margin,
      seeds,
      holds: margin >= 0,
      table,
    };
  },
};
