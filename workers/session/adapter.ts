import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { plainFolder } from '../../models/checkpoints/plain.ts';
import { withSeconds } from '../../models/data/audio/features.ts';
import { withImageSize } from '../../models/data/preprocess.ts';
import type { Settings } from '../../models/describe.ts';
import type { AdapterContent } from '../../models/exports/adapter.ts';
import { type AdapterParts, buildAdapterZip } from '../../models/exports/adapterZip.ts';
import { type CardInfo, modelCard } from '../../models/exports/card.ts';
import { type LoadInfo, loaderScript } from '../../models/exports/loading.ts';
import { isRenamed, toOlder } from '../../models/exports/names.ts';
import { toNative } from '../../models/exports/native.ts';
import { checkKeys, type PeftFiles, toPeft } from '../../models/exports/peft.ts';
import { formFiles, olderForm, todaysForm } from '../../models/exports/peftForm.ts';
import { classOf, formWithPaths, taskPaths, taskTypeOf, withPaths } from '../../models/exports/taskNames.ts';
import { truncate } from '../../models/methods/math/lowRank.ts';
import type { Model } from '../../models/model.ts';
import type { Task } from '../../models/tasks/index.ts';
import { version } from '../../package.json' with { type: 'json' };
import type { Progress } from './checkpoint.ts';
import { score } from './metrics.ts';
import type { Prefix } from './prefix.ts';
import { taskOf } from './programs.ts';
import type { RunReport } from './report.ts';
import type { Session, SessionOptions } from './session.ts';

/** What a file is made from: a session with its trained values in place, on a GPU or without one. */
export type Exported = Pick<
  Session,
  'attachment' | 'base' | 'classes' | 'parameters' | 'samplesOf' | 'shape' | 'trained'
> & {
  readonly options: Omit<SessionOptions, 'gpu'>;
  /** What computed its frozen features, where that was a choice. */
  readonly prefix?: Pick<Prefix, 'choice'>;
};

export interface AdapterZipOptions {
  session: Exported;
  /** Lower ranks that modules' low-rank updates are cut to, by path. */
  ranks?: Readonly<Record<string, number>>;
  backbone: {
    /** What `base_model_name_or_path` says. */
    id: string;
    /** Id on a hub, where the base has one. */
    hubId?: string;
    title: string;
    licence?: string;
    about?: string;
    config: JsonObject;
    preprocessor: JsonObject | null;
    /** Files of its tokenizer by name, where it reads text. */
    tokenizer?: ReadonlyMap<string, Uint8Array>;
    /** Files of the frozen base, to put into the zip with a loader. */
    files?: ReadonlyMap<string, Uint8Array>;
  };
  run: {
    name: string;
    dataset: string;
    /** How the pictures were divided, in words. */
    split: string;
    seconds?: number;
    progress: Progress;
    report: RunReport | null;
  };
}

/** The download: the adapter in every form it has, card, preprocessing, labels, run, and the base if asked. */
export async function adapterZip(options: AdapterZipOptions): Promise<Uint8Array> {
  const { session, backbone } = options;
  const { dataset } = session.options;
  const forms = await formsOf(options);
  const load = loadInfo(options, forms);
  return buildAdapterZip({
    ...forms,
    card: modelCard(cardInfo(options, load)),
    preprocessor: preprocessorOf(session, backbone.preprocessor),
    tokenizer: backbone.tokenizer,
    labels: dataset.classes,
    run: runSummary(options),
    base: backbone.files && {
      files: await plainFolder(backbone.files),
      loader: loaderScript({ ...load, withBase: true }),
    },
  });
}

/** The base's own, told of the size of picture or the length of sound that was trained on. */
function preprocessorOf({ options }: Exported, preprocessor: JsonObject | null): JsonObject | undefined {
  const { model, settings } = options;
  if (!preprocessor || model.backbone.modality === 'text') return preprocessor ?? undefined;
  const size = model.sizeIn(settings);
  return model.backbone.modality === 'image'
    ? withImageSize(preprocessor, size)
    : withSeconds(preprocessor, size);
}

/** Bytes of the file that brings the adapter back: this project's where it has one of its own, else PEFT's. */
export async function adapterBytes(
  session: Exported,
  baseModel: string,
  progress: Progress,
): Promise<number> {
  const { adapter, native } = await formsOf({ session, backbone: { id: baseModel }, run: { progress } });
  return (native ?? adapter!.weights).byteLength;
}

type FormOptions = Pick<AdapterZipOptions, 'session' | 'ranks'> & {
  backbone: Pick<AdapterZipOptions['backbone'], 'id'>;
  run: Pick<AdapterZipOptions['run'], 'progress'>;
};

type Forms = Pick<AdapterParts, 'adapter' | 'older' | 'native'>;

/** PEFT's files in both generations of names, where the method has a form of PEFT's; its own where that is not enough. */
async function formsOf({ session, backbone, run, ranks = {} }: FormOptions): Promise<Forms> {
  const { model, method } = session.options;
  const trained = await session.trained();
  const settings = { ...session.options.settings, ...ownKnobs(session, run.progress.knobs) };
  const task = taskOf(session.shape).id;
  const { toFile } = taskPaths(model, task);
  const saved = new Map([...trained].filter(([name]) => model.isHead(name)));
  const taskType = taskTypeOf(model, task);
  const options = {
    baseModel: backbone.id,
    taskType,
    autoMapping: taskType ? undefined : autoMapping(model, task),
    fanInFanOut: model.modules.some((m) => model.backbone.diskTransposed?.(`${m.path}.weight`)),
    metadata: { method: method.card.id, settings: JSON.stringify(settings) },
  };
  const paths = modulePaths(model);
  const restorable = method.fromLowRank || method.peft || !session.attachment.parameters.length;
  const packed = method.packed?.write(session.attachment, settings, trained);
  const native = restorable
    ? undefined
    : toNative({ method: method.card.id, settings, tensors: trained, packed });
  if (method.peft) {
    const content = await method.peft.write(session.attachment, settings, trained, session.base);
    const older = olderForm(content, paths, model.backbone);
    const renamed = older && [...older.tensors.keys()].some((name) => !content.tensors.has(name));
    return {
      adapter: formFiles(formWithPaths(todaysForm(content, paths, model.backbone), toFile), saved, options),
      older: renamed ? formFiles(older, saved, options) : undefined,
      native,
    };
  }
  const updates = method.toLowRank?.(session.attachment, settings, trained);
  if (!updates && session.attachment.parameters.length) return { native };
  const cut = updates?.map((u) => (ranks[u.path] < u.a.shape[0] ? truncate(u, ranks[u.path]) : u));
  const content: AdapterContent = { updates: cut ?? [], saved };
  checkKeys([...content.updates.map((u) => u.path), ...saved.keys()], paths);
  const renamed = isRenamed(
    content.updates.map((u) => u.path),
    model.backbone,
  );
  return {
    adapter: toPeft(withPaths(content, toFile), options),
    older: renamed ? toPeft(toOlder(content, model.backbone), options) : undefined,
    native,
  };
}

/**
 * The adapter as it starts, in PEFT's files and with alpha as it is trained, and the class that it loads onto. Throws
 * `AdapterError` where PEFT has no form for it.
 */
export async function startForm(
  session: Pick<Session, 'shape' | 'attachment' | 'base' | 'startTensors'> & {
    readonly options: Omit<SessionOptions, 'gpu'>;
  },
  baseModel: string,
): Promise<{ files: PeftFiles; loadsOnto: string }> {
  const { model, method, settings } = session.options;
  const task = taskOf(session.shape).id;
  const start = await session.startTensors();
  const saved = new Map([...start].filter(([name]) => model.isHead(name)));
  const taskType = taskTypeOf(model, task);
  const options = { baseModel, taskType, autoMapping: taskType ? undefined : autoMapping(model, task) };
  const { toFile } = taskPaths(model, task);
  const loadsOnto = classOf(model, task);
  if (method.peft) {
    const content = await method.peft.write(session.attachment, settings, start, session.base);
    return { files: formFiles(formWithPaths(content, toFile), saved, options), loadsOnto };
  }
  const updates = method.toLowRank?.(session.attachment, settings, start) ?? [];
  const content = withPaths({ updates, saved }, toFile);
  const files = toPeft(content, { ...options, alpha: 'as trained' });
  const dropout = settings.lora_dropout;
  return {
    files: { ...files, config: { ...files.config, ...(dropout ? { lora_dropout: dropout } : {}) } },
    loadsOnto,
  };
}

/** Knobs as they stand when the file is made: what the person saw is what they get. */
function ownKnobs({ attachment }: Exported, knobs: Record<string, number>): Settings {
  return Object.fromEntries(attachment.knobs.map((k) => [k.name, knobs[k.name] ?? k.value]));
}

/** Every module that a file may name: layers, norms, branches, the head. */
export function modulePaths(model: Model): string[] {
  const owners = model.parameters.map(({ path }) => path.slice(0, path.lastIndexOf('.')));
  const places = [...model.modules, ...model.branches, ...model.attentions].map((m) => m.path);
  const { path, hidden } = model.head;
  return [...new Set([...places, ...owners, ...hidden.map((h) => h.path), path, model.tokenHead])];
}

function autoMapping(model: Model, task: Task['id']) {
  if (model.backbone.family === 'timm') return undefined;
  const family = model.backbone.family.replaceAll('-', '_');
  return {
    base_model_class: classOf(model, task),
    parent_library: `transformers.models.${family}.modeling_${family}`,
  };
}

function loadInfo({ session, backbone }: AdapterZipOptions, forms: Forms): LoadInfo {
  const { model, settings } = session.options;
  const timm = model.backbone.family === 'timm';
  const size = model.sizeIn(settings);
  const { id: task } = taskOf(session.shape);
  return {
    reads: model.backbone.modality,
    task,
    library: timm ? 'timm' : 'transformers',
    baseTitle: backbone.title,
    model: timm ? `${backbone.config.architecture}` : classOf(model, task),
    hubId: backbone.hubId,
    withBase: backbone.files !== undefined,
    classes: session.classes,
    size,
    interpolatePositions: model.backbone.family === 'vit' && size !== backbone.config.image_size,
    renamed: forms.older !== undefined,
    byPeft: forms.adapter !== undefined,
  };
}

function cardInfo({ session, backbone, run }: AdapterZipOptions, load: LoadInfo): CardInfo {
  const { method, settings, dataset } = session.options;
  const own = method.card.settings.map((s) => s.key);
  const of = (keep: (key: string) => boolean) =>
    Object.fromEntries(Object.entries(settings).filter(([k]) => keep(k)));
  const { steps, best } = run.progress;
  const { report } = run;
  const val = session.samplesOf('val').length;
  return {
    title: run.name,
    method: { id: method.card.id, title: method.card.title, settings: of((k) => own.includes(k)) },
    load,
    baseLicence: backbone.licence,
    baseAbout: backbone.about,
    data: {
      name: run.dataset,
      classes: dataset.classes,
      counts: { train: session.samplesOf('train').length, val, test: session.samplesOf('test').length },
      split: run.split,
    },
    seed: settings.seed as number,
    training: of((k) => !own.includes(k) && k !== 'seed'),
    trainableParameters: [...session.parameters].reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0),
    curve: {
      steps: run.progress.step,
      firstLoss: steps[0]?.loss ?? 0,
      lastLoss: steps.at(-1)?.loss ?? 0,
      bestStep: best?.step,
      seconds: run.seconds,
    },
    scores: {
      test: report?.split === 'test' ? report.score : undefined,
      val:
        report?.split === 'val'
          ? report.score
          : best
            ? score(Math.round(best.accuracy * val), val)
            : undefined,
      probe: report?.baseScore ?? undefined,
    },
    versions: { Graft: version },
  };
}

/** `run.json`: what a program needs to know of the run, and what restores it when the zip comes back. */
function runSummary({ session, backbone, run }: AdapterZipOptions): JsonObject {
  const { method, settings, dataset, backboneHash } = session.options;
  const { step, best, evals, journal } = run.progress;
  return {
    format: 1,
    name: run.name,
    method: method.card.id,
    settings,
    backbone: { id: backbone.id, title: backbone.title, hash: backboneHash },
    dataset: { name: run.dataset, hash: dataset.hash, classes: [...dataset.classes] },
    steps: step,
    best,
    validation: evals,
    journal,
    report: run.report && { split: run.report.split, score: run.report.score, probe: run.report.baseScore },
    ...(session.prefix ? { prefix: { ...session.prefix.choice } } : {}),
    versions: { Graft: version },
  };
}

/** The same session without a head: an adapter that came without one leaves without one. */
export function headless(session: Exported): Exported {
  const { options } = session;
  return {
    attachment: session.attachment,
    base: session.base,
    classes: 0,
    parameters: session.attachment.parameters,
    samplesOf: () => [],
    shape: session.shape,
    trained: async () =>
      new Map([...(await session.trained())].filter(([name]) => !options.model.isHead(name))),
    options: { ...options, dataset: { classes: [], samples: [], hash: 'none', load: async () => [] } },
  };
}
