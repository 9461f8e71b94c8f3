import {
  adapterSize,
  epochsOf,
  hitsOf,
  mean,
  openArena,
  share,
  type Trained,
  trainRun,
  withFewer,
} from '../arena.ts';
import type { Claim } from '../claim.ts';
import { scoreOf, showScore } from '../paired.ts';

const N = 4;
const PER_CLASS = 20;
const percent = (x: number) => (100 * x).toFixed(1);

/** Zhang et al., 2023: sparse experts that take turns, merged, against one dense adapter of the same size. */
export const mosa: Claim = {
  method: 'mosa',
  title: 'MoSA merged against a dense adapter',
  property:
    'From 20 pictures of each class, the merged adapter of 4 experts against the dense adapter of the same size (one expert, no second pass), trained for the same steps, and against each expert alone. It holds when the mean over the seeds is at most half a point below the dense adapter and not below the mean of any single expert.',
  steps: 120,

  async prove({ seeds, steps, data = 'sign-digits' }) {
    const common = { image_size: 64, batch_size: 32, lr: 3e-3, schedule: 'cosine', last_blocks: 5 };
    const whole = await openArena({ data, common });
    if (!whole) return null;
    const arena = withFewer(whole, PER_CLASS);
    const epochs = epochsOf(arena, steps);
    const adapter = { bottleneck: 64, scale: 1, epochs };
    const table = ['| seed | merged | dense | experts alone |', '|---|---|---|---|'];
    const found = { merged: [] as number[], dense: [] as number[], alone: [] as number[][] };
    let size = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const dense = await trainRun(arena, 'mosa', { ...adapter, seed, experts: 1, consistency: 0 });
      const denseSize = adapterSize(dense.session);
      dense.session.destroy();
      const run = await trainRun(arena, 'mosa', { ...adapter, seed, experts: N });
      size = adapterSize(run.session);
      if (size !== denseSize) throw new Error(`${size} numbers against ${denseSize} of the dense adapter.`);
      const alone: number[] = [];
      for (let expert = 0; expert < N; expert++) alone.push(await aloneAccuracy(run, expert));
      run.session.destroy();
      found.merged.push(share(run.hits));
      found.dense.push(share(dense.hits));
      found.alone.push(alone);
      const cells = [showScore(scoreOf(run.hits)), showScore(scoreOf(dense.hits))];
      table.push(`| ${[seed, ...cells, alone.map(percent).join(', ')].join(' | ')} |`);
    }
    arena.gpu.destroy();
    const [ours, baseline] = [mean(found.merged), mean(found.dense)];
    const best = Math.max(...found.alone[0].map((_, e) => mean(found.alone.map((a) => a[e]))));
    const margin = Math.min(ours - baseline + 0.005, ours - best);
    return {
      what: `${arena.what}, ${steps} steps of 32 at 3e-3, cosine; width 64, scale 1, ${size} numbers each`,
      ours,
      baseline,
      margin,
      seeds,
      holds: margin >= 0,
      table,
    };
  },
};

/** Accuracy of one expert in the place of their mean. */
async function aloneAccuracy({ session, knobs }: Trained, expert: number): Promise<number> {
  const before = await session.trained();
  for (const path of session.attachment.targets) {
    const part = before.get(`${path}.adapter.up.part`)!.data;
    const { data } = before.get(`${path}.adapter.up.weight`)!;
    // At rest the mean is taken, which divides by their number.
    session.state.writeTensor(
      `${path}.adapter.up.weight`,
      data.map((x, i) => (part[i] === expert ? N * x : 0)),
    );
  }
  const accuracy = share(await hitsOf(session, knobs));
  for (const [name, { data }] of before) session.state.writeTensor(name, data);
  return accuracy;
}
