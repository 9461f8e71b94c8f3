import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Gpu } from '../../gpu-shaders/index.ts';
import { defaultSplit } from '../../models/data/split.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import type { Method } from '../../models/methods/method.ts';
import { sizeSetting } from '../../models/model.ts';
import { argmax } from '../../workers/session/metrics.ts';
import type { Dataset } from '../../workers/session/ports.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { NodeFiles } from '../../workers/storage/files.node.ts';
import { type OpenBackbone, openBackbone } from '../cli/backbone.ts';
import { openGpu } from '../cli/gpu.ts';
import { tokenizerIn } from '../cli/language.ts';
import { FolderSamples } from '../cli/samples.ts';
import { FileTexts } from '../cli/texts.ts';
import { openOnnx } from '../onnx/node.ts';

/** Data, backbone and device that the runs of a proof share. */
export interface Arena {
  gpu: Gpu;
  backbone: OpenBackbone;
  dataset: Dataset;
  /** Settings of every run, over the defaults. */
  common: Settings;
  what: string;
}

export interface ArenaOptions {
  /** A folder under ../shared/data, or a path. */
  data: string;
  /** An embedded backbone's id, or a folder; the default backbone where it is left out. */
  backbone?: string;
  common: Settings;
}

/** Null, after a line that says so, where the data is not here. */
export async function openArena({ data, backbone: name, common }: ArenaOptions): Promise<Arena | null> {
  const shared = fileURLToPath(new URL(`../../../shared/data/${data}`, import.meta.url));
  const folder = existsSync(data) ? data : shared;
  if (!existsSync(folder)) {
    console.log(`Skipped: there is no ${folder}. Give a folder with train/ and test/ by --data.`);
    return null;
  }
  const backbone = await openBackbone(name);
  const split = { ...defaultSplit, val: 0, test: 0 };
  const dataset =
    backbone.model.backbone.modality === 'text'
      ? await FileTexts.open(folder, {}, split, {
          tokenizer: await tokenizerIn(backbone.folder),
          model: backbone.model,
        })
      : await FolderSamples.open(folder, backbone.files.preprocessor!, split);
  const gpu = await openGpu();
  const of = (split: string) => dataset.samples.filter((s) => s.split === split).length;
  const { unit, default: own } = backbone.model.backbone.size(backbone.model.config);
  const size = `${common[sizeSetting[unit]] ?? own} ${unit}`;
  const what = `${backbone.title} at ${size}, ${basename(folder)} (${of('train')} to train, ${of('test')} to test)`;
  console.log(`${what}\non ${gpu.info.description}`);
  return { gpu, backbone, dataset, common, what };
}

/** The arena with no more than so many training samples of each class, the first ones, and test samples where that is said. */
export function withFewer(arena: Arena, perClass: number, testPerClass = Number.POSITIVE_INFINITY): Arena {
  const most = { train: perClass, val: Number.POSITIVE_INFINITY, test: testPerClass };
  const counts = new Map<string, number>();
  const samples = arena.dataset.samples.map((s) => {
    const of = `${s.split} ${s.label}`;
    const n = counts.get(of) ?? 0;
    counts.set(of, n + 1);
    // A sample without a label is left out of everything.
    return n >= most[s.split] ? { ...s, label: -1 } : s;
  });
  const dataset: Dataset = Object.create(arena.dataset, {
    samples: { value: samples },
    hash: {
      value: `${arena.dataset.hash}-${perClass}${testPerClass < Number.POSITIVE_INFINITY ? `-${testPerClass}` : ''}`,
    },
  });
  const tested = testPerClass < Number.POSITIVE_INFINITY ? ` and ${testPerClass} for the test` : '';
  return { ...arena, dataset, what: `${arena.what}, ${perClass} of each class${tested}` };
}

/**
 * Opens a session of a method, by its id or a proof's own; the caller destroys it. Settings come over the arena's, those
 * over the defaults.
 */
export async function openRun(arena: Arena, of: string | Method, settings: Settings): Promise<Session> {
  const { gpu, backbone, dataset, common } = arena;
  const method = typeof of === 'string' ? methodById(of) : of;
  const { id } = method.card;
  const count = trainingCount(dataset);
  const given = { ...common, ...settings };
  return Session.open({
    gpu,
    files: new NodeFiles('.cache/graft'),
    backboneHash: backbone.hash,
    model: backbone.model,
    method,
    settings: completeSettings(method, given, defaultSettings(method, backbone.model, count)),
    dataset,
    onnx: openOnnx(),
    folder: `runs/prove-${process.pid}-${id}-${settings.seed ?? common.seed ?? 0}-${++opened}`,
    report: progressLine(`${id}: `),
  });
}

let opened = 0;

/** Epochs that make `steps` steps. */
export function epochsOf({ dataset, common }: Arena, steps: number): number {
  return (steps * (common.batch_size as number)) / trainingCount(dataset);
}

const trainingCount = ({ samples }: Dataset): number =>
  samples.filter((s) => s.split === 'train' && s.label >= 0).length;

export interface Trained {
  session: Session;
  /** Whether each test picture is got right at the end. */
  hits: boolean[];
  /** Loss of every step. */
  losses: number[];
  seconds: number;
  knobs: Record<string, number>;
}

/** Trains to the end, keeps the session open, leaves no checkpoint behind. `start` may replace start values. */
export async function trainRun(
  arena: Arena,
  of: string | Method,
  settings: Settings,
  start?: ReadonlyMap<string, Float32Array>,
): Promise<Trained> {
  const session = await openRun(arena, of, settings);
  if (start) session.state.writeTensors(start);
  const tell = progressLine(`${session.options.method.card.id}, seed ${session.options.settings.seed}: `);
  const from = performance.now();
  const { progress } = await session.run(
    { wish: 'run', turns: [], now: () => performance.now() },
    {
      step: (p, done, total) => tell(`step loss ${p.loss.toFixed(3)}`, { done, total }),
      evaluated: () => {},
      notice: (message) => console.log(message),
    },
  );
  const seconds = (performance.now() - from) / 1000;
  await session.checkpoints.remove();
  return {
    session,
    seconds,
    hits: await hitsOf(session, progress.knobs),
    losses: progress.steps.map((p) => p.loss),
    knobs: progress.knobs,
  };
}

/** Whether the session, as its tensors and the knobs stand, gets each test picture right. */
export async function hitsOf(session: Session, knobs: Record<string, number>): Promise<boolean[]> {
  const samples = session.samplesOf('test');
  const logits = await session.logits(samples, knobs);
  return samples.map((s, i) => argmax(logits[i]) === session.options.dataset.samples[s].label);
}

/** Share of true values. */
export const share = (hits: readonly boolean[]): number => hits.filter(Boolean).length / hits.length;

export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Numbers of the parameters that a run trains, the head's left out. */
export function adapterSize({ attachment }: Session): number {
  return attachment.parameters.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0);
}

/** Tells of each phase at every fifth. */
function progressLine(prefix: string) {
  let last = '';
  return (phase: string, { done, total }: { done: number; total: number }) => {
    const fifth = Math.floor((5 * done) / Math.max(1, total));
    const key = `${phase.split(' ')[0]}${fifth}`;
    if (key !== last) console.log(`${prefix}${phase}: ${fifth * 20} %`);
    last = key;
  };
}
