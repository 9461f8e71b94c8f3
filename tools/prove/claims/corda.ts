import type { Settings } from '../../../models/describe.ts';
import { plainHead } from '../../../workers/session/base.ts';
import { fitProbe, type Probe } from '../../../workers/session/probe.ts';
import {
  type Arena,
  epochsOf,
  hitsOf,
  mean,
  openArena,
  openRun,
  share,
  trainRun,
  withFewer,
} from '../arena.ts';
import type { Claim } from '../claim.ts';
import { lastStage, stepsTo } from '../race.ts';

const FACTORS = { r: 8, lora_alpha: 8 };
const percent = (x: number) => (100 * x).toFixed(1);

/** Yang et al., 2024, tables 1 and 2: keep an old task while learning a new one, or learn the new one sooner. */
export const corda: Claim = {
  method: 'corda',
  title: 'CorDA keeps an old task, or learns the new one sooner',
  property:
    'The old task is CIFAR-10, read by a linear probe of the frozen features; the new one, sign digits. Preserving CorDA, its inputs those of the old task, and LoRA of the same rank learn the new task from the same seeds; then the old probe reads the old pictures through each. Previewing CorDA takes its inputs from the new task. It holds when, in the mean over the seeds, the preserving one keeps the old task better than LoRA with the new one at most 2 points below, and the previewing one reaches the loss that LoRA ends with in fewer steps.',
  steps: 120,

  async prove({ seeds, steps, data = 'sign-digits' }) {
    const common = {
      image_size: 64,
      batch_size: 32,
      lr: 1e-3,
      schedule: 'cosine',
      target_modules: lastStage,
      ...FACTORS,
    };
    const arena = await openArena({ data, common });
    const whole = arena && (await openArena({ data: 'cifar10', common }));
    if (!arena || !whole) return null;
    const old = withFewer(whole, 50);
    const epochs = epochsOf(arena, steps);
    const { start, probe, before } = await oldTask(old);
    const table = [
      '| seed | old task: before | preserving | LoRA | new task: preserving | LoRA | previewing | its steps to LoRA’s loss |',
      '|---|---|---|---|---|---|---|---|',
    ];
    const found = { kept: [] as number[], new: [] as number[], sooner: [] as number[], ours: [] as number[] };
    const lost: number[] = [];
    for (let seed = 1; seed <= seeds; seed++) {
      const given = { epochs, seed };
      const kpm = await trainRun(arena, 'corda', { ...given, mode: 'kpm' }, start);
      const keptBy = await oldAccuracy(old, 'corda', { mode: 'kpm' }, await kpm.session.trained(), probe);
      kpm.session.destroy();
      const plain = await trainRun(arena, 'lora', given);
      const keptByLora = await oldAccuracy(old, 'lora', {}, await plain.session.trained(), probe);
      plain.session.destroy();
      const ipm = await trainRun(arena, 'corda', { ...given, mode: 'ipm' });
      ipm.session.destroy();
      const [ours, theirs, previewing] = [kpm, plain, ipm].map(({ hits }) => share(hits));
      const sooner = stepsTo(ipm.losses, mean(plain.losses.slice(-10)));
      found.ours.push(keptBy);
      found.kept.push(keptBy - keptByLora);
      found.new.push(ours - theirs);
      found.sooner.push(1 - sooner / steps);
      lost.push(keptByLora);
      const cells = [before, keptBy, keptByLora, ours, theirs, previewing].map(percent);
      table.push(`| ${[seed, ...cells, sooner].join(' | ')} |`);
    }
    arena.gpu.destroy();
    whole.gpu.destroy();
    const margin = Math.min(mean(found.kept), mean(found.new) + 0.02, mean(found.sooner));
    return {
      what: `${arena.what}, old task ${old.what}, ${steps} steps of 32 at 1e-3, cosine; rank 8, scale 1, the last stage`,
      ours: mean(found.ours),
      baseline: mean(lost),
      margin,
      seeds,
      holds: margin > 0,
      table,
    };
  },
};

/** The old task: preserving start values from its pictures, its probe, and how well that reads the frozen features. */
async function oldTask(old: Arena) {
  const session = await openRun(old, 'corda', { mode: 'kpm', seed: 1 });
  const headPath = old.backbone.model.head.path;
  const tensors = await session.trained();
  const start = new Map(
    [...tensors].filter(([name]) => !name.startsWith(`${headPath}.`)).map(([n, t]) => [n, t.data]),
  );
  const probe = fitProbe(session.labelled('train'), session.labelled('test'), session.classes);
  session.state.writeTensors(headOf(probe, headPath));
  const before = share(await hitsOf(session, session.startKnobs()));
  session.destroy();
  return { start, probe, before };
}

/** How well the old probe reads the old pictures through what was trained on the new ones. */
async function oldAccuracy(
  old: Arena,
  method: string,
  settings: Settings,
  trained: ReadonlyMap<string, { data: Float32Array }>,
  probe: Probe,
): Promise<number> {
  const session = await openRun(old, method, { ...settings, seed: 1 });
  session.state.writeTensors(new Map([...trained].map(([n, t]) => [n, t.data])));
  session.state.writeTensors(headOf(probe, old.backbone.model.head.path));
  const accuracy = share(await hitsOf(session, session.startKnobs()));
  session.destroy();
  return accuracy;
}

function headOf(probe: Probe, headPath: string) {
  const [weight, bias] = plainHead(probe);
  return new Map([
    [`${headPath}.weight`, weight],
    [`${headPath}.bias`, bias],
  ]);
}
