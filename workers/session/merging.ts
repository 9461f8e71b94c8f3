import type { Settings } from '../../models/describe.ts';
import {
  addAdapters,
  addHeads,
  addLowRank,
  addWeights,
  allClasses,
  type Form,
  formOf,
  type Part,
} from '../../models/methods/combine.ts';
import { lowRankSpectrum } from '../../models/methods/math/lowRank.ts';
import {
  type Attachment,
  type Base,
  type Method,
  MethodError,
  type Tensors,
} from '../../models/methods/method.ts';
import { noBase } from '../../models/methods/start.ts';
import type { Model } from '../../models/model.ts';
import { trainedParameters } from '../../models/tasks/index.ts';
import type { Score } from '../protocol.ts';
import type { Exported } from './adapter.ts';
import { argmax, score } from './metrics.ts';
import type { Dataset } from './ports.ts';
import type { Session } from './session.ts';

/** A trained adapter to be added to others, with the names of its classes. */
export interface MergeInput extends Part {
  classes: readonly string[];
}

/** What several adapters make together: an adapter with a head, in terms that a session opens. */
export interface MergedAdapter {
  form: Form;
  /** Why it leaves only as a merged model; null where it is an adapter. */
  onlyMerged: string | null;
  method: Method;
  settings: Settings;
  /** Of the method and of the head of all classes. */
  tensors: Tensors;
  classes: string[];
  /** Rank of the widest module, or entries of the fullest; null for whole weights. */
  width: number | null;
  /** Share of the sum's squared singular values that the cut to `rank` keeps. */
  energy: number;
}

/** The frozen model as far as its files tell it. */
const filesOf = (model: Model): Base => ({ ...noBase, weight: (path) => model.f32(path) });

/**
 * The sum of some adapters with their weights. Where it is `wide`, a cut to `rank` keeps the shape of the whole sum, so
 * that one session holds every cut. Throws `MethodError` for one that is no change of weights.
 */
export async function mergeAdapters(
  model: Model,
  inputs: readonly MergeInput[],
  rank: number | null,
  wide = false,
): Promise<MergedAdapter> {
  const lists = inputs.map((i) => i.classes);
  const classes = allClasses(lists);
  const head = addHeads(inputs, lists, model.head.path, (name) => model.isHead(name));
  const form = formOf(inputs);
  try {
    const { method, settings, tensors } = addAdapters(inputs, model, form === 'low-rank' ? rank : null, wide);
    const sizes = [...tensors.values()].map((t) => t.shape[0]);
    return {
      form,
      onlyMerged: null,
      method,
      settings,
      tensors: new Map([...tensors, ...head]),
      classes,
      width: form === 'low-rank' ? ((settings.r as number) ?? 0) : Math.max(0, ...sizes),
      energy: form === 'low-rank' ? energyKept(inputs, rank) : 1,
    };
  } catch (error) {
    if (!(error instanceof MethodError)) throw error;
    const sums = await addWeights(inputs, filesOf(model));
    const shapes = new Map(model.parameters.map((p) => [p.path, p.shape]));
    const tensors = new Map([...sums].map(([path, data]) => [path, { shape: shapes.get(path)!, data }]));
    return {
      form: 'weights',
      onlyMerged: error.message,
      method: wholeWeights(tensors),
      settings: {},
      tensors: new Map([...tensors, ...head]),
      classes,
      width: null,
      energy: 1,
    };
  }
}

/** Stands in for a sum that is no adapter: the weights that change are its buffers, and merge as they are. */
function wholeWeights(weights: Tensors): Method {
  const attachment: Attachment = {
    targets: [...weights.keys()],
    parameters: [],
    buffers: [...weights].map(([name, { shape, data }]) => ({ name, shape, initial: () => data })),
    knobs: [],
    intercept: (own) => ({ parameter: (path) => (weights.has(path) ? own.buffer(path) : null) }),
  };
  return {
    card: {
      id: 'merged-weights',
      title: 'Merged weights',
      about: 'Weights of a backbone as several adapters make them together.',
      channels: [],
      settings: [],
    },
    attach: () => attachment,
    merge: async (_, __, tensors) =>
      new Map([...weights.keys()].map((path) => [path, tensors.get(path)!.data])),
  };
}

function energyKept(inputs: readonly MergeInput[], rank: number | null): number {
  let [kept, whole] = [0, 0];
  if (rank === null) return 1;
  for (const { a, b, scale } of addLowRank(inputs))
    lowRankSpectrum(a, b, scale).forEach((v, i) => {
      whole += v * v;
      if (i < rank) kept += v * v;
    });
  return whole > 0 ? kept / whole : 1;
}

/** A sum as the writers of files take a session. */
export function exportedMerge(
  model: Model,
  merged: MergedAdapter,
  options: Omit<Exported['options'], 'model' | 'method' | 'settings' | 'dataset'>,
  settings: Settings,
): Exported {
  const { method, tensors, classes } = merged;
  const attachment = method.attach(model, settings);
  return {
    attachment,
    base: filesOf(model),
    classes: classes.length,
    parameters: trainedParameters(model, attachment, classes.length),
    samplesOf: () => [],
    shape: { model, attachment, classes: classes.length, settings },
    trained: async () => tensors,
    options: {
      ...options,
      model,
      method,
      settings,
      dataset: { classes, samples: [], hash: 'none', load: async () => [] },
    },
  };
}

/** The pictures of one data set that an adapter is scored on, under the classes of all. */
export class HeldOut implements Dataset {
  readonly samples: Dataset['samples'];
  readonly hash: string;
  readonly split: 'val' | 'test';
  /** Places of the data set's own classes among those of all. */
  readonly own: number[];
  readonly #ids: number[];

  constructor(
    private readonly whole: Dataset,
    readonly classes: readonly string[],
  ) {
    this.own = whole.classes.map((name) => classes.indexOf(name));
    const of = (split: string) =>
      whole.samples.flatMap((s, i) => (s.split === split && s.label >= 0 ? [i] : []));
    this.split = of('test').length ? 'test' : 'val';
    this.#ids = of(this.split);
    this.samples = this.#ids.map((i) => ({ ...whole.samples[i], label: this.own[whole.samples[i].label] }));
    this.hash = `${whole.hash}-${this.split}`;
  }

  load: Dataset['load'] = (samples, size, augmentation) =>
    this.whole.load(
      samples.map((i) => this.#ids[i]),
      size,
      augmentation,
    );
}

/** Scores of a session's adapter on held-out dataset: among their own classes, and among all. */
export async function scoreHeldOut(
  session: Pick<Session, 'logits' | 'startKnobs'>,
  pictures: HeldOut,
): Promise<{ own: Score; all: Score }> {
  const labels = pictures.samples.map((s) => s.label);
  const logits = await session.logits([...labels.keys()], session.startKnobs());
  const hits = (guess: (row: Float32Array) => number) =>
    logits.filter((row, i) => guess(row) === labels[i]).length;
  const among = (row: Float32Array) => pictures.own[argmax(pictures.own.map((c) => row[c]))];
  return { own: score(hits(among), labels.length), all: score(hits(argmax), labels.length) };
}
