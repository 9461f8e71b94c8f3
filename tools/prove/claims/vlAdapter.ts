import { taskScores } from '../../../workers/session/tasks.ts';
import { adapterSize, epochsOf, mean, openArena, trainRun } from '../arena.ts';
import type { Claim } from '../claim.ts';

const TASKS = 4;
const percent = (x: number) => (100 * x).toFixed(1);

/** Sung et al., 2022: one adapter for all tasks does as well as one a task. */
export const vlAdapter: Claim = {
  method: 'vl-adapter',
  title: 'VL-Adapter: one adapter for all tasks against one a task',
  property:
    'The classes dealt to 4 tasks, each scored on its own pictures and among its own classes: one adapter for all tasks against one a task, which has exactly 4 times the weights, trained for the same steps. It holds when the mean over tasks and seeds is at most 1 point below.',
  steps: 120,

  async prove({ seeds, steps, data = 'sign-digits' }) {
    const common = { image_size: 64, batch_size: 32, lr: 3e-3, schedule: 'cosine' };
    const arena = await openArena({ data, common });
    if (!arena) return null;
    const epochs = epochsOf(arena, steps);
    const table = [
      '| seed | sharing | task 1 | task 2 | task 3 | task 4 | mean | numbers |',
      '|---|---|---|---|---|---|---|---|',
    ];
    const modes = ['single', 'half-down', 'multiple'];
    const means = new Map(modes.map((m) => [m, [] as number[]]));
    const sizes = new Map<string, number>();
    for (let seed = 1; seed <= seeds; seed++)
      for (const sharing of modes) {
        const settings = { sharing, tasks: TASKS, last_blocks: 5, epochs, seed };
        const { session, knobs } = await trainRun(arena, 'vl-adapter', settings);
        const scores = await taskScores(session, session.samplesOf('test'), knobs);
        sizes.set(sharing, adapterSize(session));
        session.destroy();
        const accuracies = scores.map((s) => s.hits / s.samples);
        means.get(sharing)!.push(mean(accuracies));
        const cells = [seed, sharing, ...[...accuracies, mean(accuracies)].map(percent)];
        table.push(`| ${[...cells, sizes.get(sharing)].join(' | ')} |`);
      }
    arena.gpu.destroy();
    if (sizes.get('multiple') !== TASKS * sizes.get('single')!)
      throw new Error(`${sizes.get('multiple')} numbers are not ${TASKS} times ${sizes.get('single')}.`);
    const [ours, baseline] = [mean(means.get('single')!), mean(means.get('multiple')!)];
    const margin = ours - baseline + 0.01;
    return {
      what: `${arena.what}, ${steps} steps of 32 at 3e-3, cosine; reduction 8, last 5 blocks`,
      ours,
      baseline,
      margin,
      seeds,
      holds: margin >= 0,
      table,
    };
  },
};
