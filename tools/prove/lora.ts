import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Gpu } from '../../gpu-shaders/index.ts';
import { defaultSplit } from '../../models/data/split.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import { argmax } from '../../workers/session/metrics.ts';
import { fitProbe, type LabelledFeatures, probeLogits } from '../../workers/session/probe.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { NodeFiles } from '../../workers/storage/files.node.ts';
import { type OpenBackbone, openBackbone } from '../cli/backbone.ts';
import { openGpu } from '../cli/gpu.ts';
import { FolderPictures } from '../cli/pictures.ts';
import { type Margin, margin, scoreOf, showMargin, showScore } from './paired.ts';
import { writeResults } from './results.ts';

export interface Proof {
  seeds: number;
  steps: number;
  data?: string;
  write: boolean;
}

/** The default backbone, smaller pictures so that a machine without a GPU finishes in minutes. */
const IMAGE_SIZE = 128;
const BATCH = 32;
const RATE = 3e-3;

interface Context {
  gpu: Gpu;
  backbone: OpenBackbone;
  pictures: FolderPictures;
  steps: number;
}

/**
 * LoRA with its defaults against two probes of the same frozen features: one trained for the same steps, and one run
 * to convergence with its penalty chosen on the test pictures themselves, which favours it. The claim holds when
 * both paired intervals of the margin lie above zero for every seed.
 */
export async function proveLora({ seeds, steps, data, write }: Proof): Promise<boolean> {
  const folder = data ?? fileURLToPath(new URL('../../../shared/data/sign-digits', import.meta.url));
  if (!existsSync(folder)) {
    console.log(`Skipped: lora. There is no ${folder}; give a folder with train/ and test/ by --data.`);
    return true;
  }
  const from = performance.now();
  const backbone = await openBackbone();
  const pictures = await FolderPictures.open(folder, backbone.files.preprocessor!, {
    ...defaultSplit,
    val: 0,
    test: 0,
  });
  const gpu = await openGpu();
  const context = { gpu, backbone, pictures, steps };
  const of = (split: string) => pictures.samples.filter((s) => s.split === split).length;
  const what = `${backbone.title} at ${IMAGE_SIZE} px, ${basename(folder)} (${of('train')} to train, ${of('test')} to test), ${steps} steps of ${BATCH} at ${RATE}, cosine`;
  console.log(`${what}\non ${gpu.info.description}`);

  const rows: string[] = [];
  let holds = true;
  let tuned: boolean[] | undefined;
  for (let seed = 1; seed <= seeds; seed++) {
    const probe = await trained(context, 'linear-probe', seed);
    tuned ??= tunedProbe(probe.train, probe.test, pictures.classes.length);
    const lora = await trained(context, 'lora', seed);
    const margins: Margin[] = [margin(lora.hits, probe.hits), margin(lora.hits, tuned)];
    const fine = margins.every((m) => m.low > 0);
    holds &&= fine;
    const cells = [lora.hits, probe.hits, tuned].map((hits) => showScore(scoreOf(hits)));
    const gains = margins.map(showMargin);
    console.log(`seed ${seed}: LoRA ${cells[0]}; probe of the same steps ${cells[1]}, margin ${gains[0]};`);
    console.log(`  converged probe ${cells[2]}, margin ${gains[1]}${fine ? '' : '  DOES NOT HOLD'}`);
    console.log(`  LoRA's training took ${(lora.seconds / 60).toFixed(1)} min`);
    rows.push(`| ${seed} | ${[...cells, ...gains].join(' | ')} | ${(lora.seconds / 60).toFixed(1)} |`);
  }
  gpu.destroy();
  const minutes = (performance.now() - from) / 60_000;
  console.log(
    `${holds ? 'The claim holds' : 'THE CLAIM DOES NOT HOLD'}; ${minutes.toFixed(1)} minutes in all.`,
  );
  if (write)
    await writeResults('lora', [
      `${what}; rank 8, alpha 16, on ${await targets(context)}. Adapter: ${gpu.info.description}.`,
      '',
      '| seed | LoRA | probe, same steps | probe, converged | margin over the first | over the second | minutes |',
      '|---|---|---|---|---|---|---|',
      ...rows,
    ]);
  return holds;
}

async function targets({ backbone }: Context): Promise<string> {
  return backbone.model.backbone.presets(backbone.model.config)[0].label;
}

/** Trains a method to the end and says which test pictures it gets right. */
async function trained({ gpu, backbone, pictures, steps }: Context, id: string, seed: number) {
  const method = methodById(id);
  const count = pictures.samples.filter((s) => s.split === 'train').length;
  const given: Settings = {
    image_size: IMAGE_SIZE,
    batch_size: BATCH,
    epochs: (steps * BATCH) / count,
    lr: RATE,
    schedule: 'cosine',
    seed,
  };
  const session = await Session.open({
    gpu,
    files: new NodeFiles('.cache/graft'),
    backboneHash: backbone.hash,
    model: backbone.model,
    method,
    settings: completeSettings(method, given, defaultSettings(method, backbone.model, count)),
    pictures,
    folder: `runs/prove-${process.pid}-${id}-${seed}`,
    report: progressLine(`${id}, seed ${seed}: `),
  });
  const from = performance.now();
  const tell = progressLine(`${id}, seed ${seed}: `);
  const { progress } = await session.run(
    { wish: 'run', turns: [], now: () => performance.now() },
    {
      step: (p, done, total) => tell(`step loss ${p.loss.toFixed(3)}`, { done, total }),
      evaluated: () => {},
      notice: (message) => console.log(message),
    },
  );
  const seconds = (performance.now() - from) / 1000;
  const samples = session.samplesOf('test');
  const logits = await session.logits(samples, progress.knobs);
  const hits = samples.map((s, i) => argmax(logits[i]) === pictures.samples[s].label);
  const [train, test] = [session.labelled('train'), session.labelled('test')];
  await session.checkpoints.remove();
  session.destroy();
  return { hits, seconds, train, test };
}

function tunedProbe(train: LabelledFeatures, test: LabelledFeatures, classes: number): boolean[] {
  const probe = fitProbe(train, test, classes);
  return test.features.map((f, i) => argmax(probeLogits(probe, f)) === test.labels[i]);
}

/** Tells of each phase at every tenth. */
function progressLine(prefix: string) {
  let last = '';
  return (phase: string, { done, total }: { done: number; total: number }) => {
    const tenth = Math.floor((10 * done) / Math.max(1, total));
    const key = `${phase.split(' ')[0]}${tenth}`;
    if (key !== last) console.log(`${prefix}${phase}: ${tenth * 10} %`);
    last = key;
  };
}
