import { epochsOf, mean, openArena, share, trainRun } from '../arena.ts';
import type { Claim } from '../claim.ts';
import { margin, scoreOf, showMargin, showScore } from '../paired.ts';
import { lastStage, points } from '../race.ts';

/** How far below the run on the stored numbers a quantised one may end. */
const ALLOWED = 0.01;
const forms = ['as stored', 'int8', 'nf4'] as const;

/** Dettmers et al., 2023: a frozen backbone in four bits is adapted as well as one in full precision. */
export const quantised: Claim = {
  method: 'quantised',
  title: 'Frozen weights in int8 and NF4',
  property:
    'LoRA on the default backbone with its frozen weights as int8 and as NF4, against the same run with them as the checkpoint stores them, whose numbers f32 holds exactly: same seeds, same batches, same steps. It holds when the mean accuracy of each is at most one point below.',
  steps: 120,

  async prove({ seeds, steps, data = 'sign-digits' }) {
    const common = {
      image_size: 96,
      batch_size: 32,
      lr: 3e-3,
      schedule: 'cosine',
      target_modules: lastStage,
    };
    const arena = await openArena({ data, common });
    if (!arena) return null;
    const epochs = epochsOf(arena, steps);
    const table = [
      '| seed | frozen weights | accuracy | beside as stored | frozen bytes on the GPU | last loss |',
      '|---|---|---|---|---|---|',
    ];
    const accuracies: Record<string, number[]> = {};
    for (let seed = 1; seed <= seeds; seed++) {
      let plain: boolean[] | undefined;
      for (const weights of forms) {
        const { session, hits, losses } = await trainRun(arena, 'lora', { epochs, seed, weights });
        const megabytes = `${(session.state.frozenBytes / 1e6).toFixed(2)} MB`;
        session.destroy();
        plain ??= hits;
        accuracies[weights] = [...(accuracies[weights] ?? []), share(hits)];
        const beside = weights === 'as stored' ? '–' : showMargin(margin(hits, plain));
        table.push(
          `| ${[seed, weights, showScore(scoreOf(hits)), beside, megabytes, mean(losses.slice(-10)).toFixed(4)].join(' | ')} |`,
        );
      }
    }
    arena.gpu.destroy();
    const [baseline, ...packed] = forms.map((weights) => mean(accuracies[weights]));
    const ours = Math.min(...packed);
    const behind = packed.map((accuracy, i) => `${forms[i + 1]} by ${points(baseline - accuracy)}`);
    table.push('', `Behind as stored: ${behind.join(', ')}.`);
    return {
      what: `${arena.what}, ${steps} steps of 32 at 3e-3, cosine; LoRA on the last stage`,
      ours,
      baseline,
      margin: ours - baseline + ALLOWED,
      seeds,
      // A picture's worth of rounding is not a point.
      holds: baseline - ours <= ALLOWED + 1e-9,
      table,
    };
  },
};
