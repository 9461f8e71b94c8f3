import { factorNames } from '../../../models/methods/loraParts.ts';
import { truncate } from '../../../models/methods/math/lowRank.ts';
import { accuracyAtEveryRank } from '../../../workers/session/everyRank.ts';
import { epochsOf, hitsOf, mean, openArena, share, type Trained, trainRun } from '../arena.ts';
import type { Claim } from '../claim.ts';

const R = 8;
const ALPHA = 16;
/** 1×1 convolutions of the default backbone's last stage: all before them is computed once. */
const TARGETS = ['blocks.6.0.conv_pw', 'blocks.6.0.conv_pwl', 'conv_head'];
/** Ranks at which a LoRA is trained for comparison. */
const RETRAINED = [1, 2, 4, 8];
const percent = (x: number) => (100 * x).toFixed(1);

/** Valipour et al., 2023: one training for all ranks, which a plain LoRA does not survive being cut to. */
export const dylora: Claim = {
  method: 'dylora',
  title: 'DyLoRA at every rank against LoRA trained at each',
  property:
    'One DyLoRA of largest rank 8, cut to rank 1, 2, 4 and 8, lies on average no more than 3 points below LoRAs trained at these ranks, and its accuracy falls nowhere by more than 2 points from one rank to the next; a rank-8 LoRA cut to its first 1 and 2 rows (under alpha/8 or alpha/rank, whichever is better) loses 15 points or more. The same number of steps each; means over the seeds.',
  steps: 120,

  async prove({ seeds, steps, data = 'sign-digits' }) {
    const common = {
      image_size: 64,
      batch_size: 32,
      lr: 3e-3,
      schedule: 'cosine',
      r: R,
      lora_alpha: ALPHA,
      target_modules: TARGETS,
    };
    const arena = await openArena({ data, common });
    if (!arena) return null;
    const epochs = epochsOf(arena, steps);
    const table = [
      '| seed | DyLoRA at rank 1 to 8 | LoRA trained at 1, 2, 4, 8 | LoRA of 8 cut to 1, 2 (rows) | the same by singular values |',
      '|---|---|---|---|---|',
    ];
    const found = { ours: [] as number[][], theirs: [] as number[][], cut: [] as number[][] };
    for (let seed = 1; seed <= seeds; seed++) {
      const run = await trainRun(arena, 'dylora', { epochs, seed, rank: R });
      const test = run.session.samplesOf('test');
      const curve = (await accuracyAtEveryRank(run.session, test, run.knobs)).map((p) => p.accuracy);
      run.session.destroy();
      const theirs: number[] = [];
      let rows: number[] = [];
      let values: number[] = [];
      for (const r of RETRAINED) {
        const plain = await trainRun(arena, 'lora', { epochs, seed, r });
        theirs.push(share(plain.hits));
        if (r === R) {
          rows = [await cutTo(plain, 1), await cutTo(plain, 2)];
          values = [await nearestOf(plain, 1), await nearestOf(plain, 2)];
        }
        plain.session.destroy();
      }
      found.ours.push(curve);
      found.theirs.push(theirs);
      found.cut.push(rows);
      const cells = [curve, theirs, rows, values].map((list) => list.map(percent).join(', '));
      table.push(`| ${[seed, ...cells].join(' | ')} |`);
    }
    arena.gpu.destroy();
    const [ours, theirs, cut] = [found.ours, found.theirs, found.cut].map(columns);
    const below = mean(RETRAINED.map((r, i) => ours[r - 1] - theirs[i]));
    const falls = Math.min(...ours.slice(1).map((x, i) => x - ours[i]));
    const loss = Math.min(...cut.map((x) => theirs.at(-1)! - x));
    const margin = Math.min(below + 0.03, falls + 0.02, loss - 0.15);
    table.push(
      '',
      `Against LoRAs trained: ${percent(below)} points on average. Largest fall from a rank to the next: ${percent(Math.max(0, -falls))}. A cut LoRA loses ${percent(loss)} or more.`,
    );
    return {
      what: `${arena.what}, ${steps} steps of 32 at 3e-3, cosine; alpha ${ALPHA}, the last stage, frozen mode`,
      ours: mean(RETRAINED.map((r) => ours[r - 1])),
      baseline: mean(theirs),
      margin,
      seeds,
      holds: margin >= 0,
      table,
    };
  },
};

/** Means over the seeds. */
const columns = (rows: number[][]): number[] => rows[0].map((_, i) => mean(rows.map((row) => row[i])));

/** Accuracy with the first `rank` rows alone, under alpha / 8 and alpha / rank, the better of both. */
async function cutTo({ session, knobs }: Trained, rank: number): Promise<number> {
  const before = await session.trained();
  for (const path of session.attachment.targets) {
    const { a } = factorNames(path);
    const { shape, data } = before.get(a)!;
    session.state.writeTensor(
      a,
      data.map((x, i) => (i < (data.length / shape[0]) * rank ? x : 0)),
    );
  }
  const accuracies: number[] = [];
  for (const scale of [1, R / rank]) accuracies.push(share(await hitsOf(session, { ...knobs, scale })));
  for (const [name, { data }] of before) session.state.writeTensor(name, data);
  return Math.max(...accuracies);
}

/** Accuracy with the nearest update of that rank. */
async function nearestOf({ session, knobs }: Trained, rank: number): Promise<number> {
  const before = await session.trained();
  for (const path of session.attachment.targets) {
    const { a, b } = factorNames(path);
    const cut = truncate({ a: before.get(a)!, b: before.get(b)!, scale: 1 }, rank, R);
    session.state.writeTensor(a, cut.a.data);
    session.state.writeTensor(b, cut.b.data);
  }
  const accuracy = share(await hitsOf(session, knobs));
  for (const [name, { data }] of before) session.state.writeTensor(name, data);
  return accuracy;
}
