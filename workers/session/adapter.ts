import type { JsonObject } from '../../models/checkpoints/folder.ts';
import type { FileEntry } from '../../models/data/entry.ts';
import { withImageSize } from '../../models/data/preprocess.ts';
import type { Settings } from '../../models/describe.ts';
import { type AdapterContent, AdapterError } from '../../models/exports/adapter.ts';
import { buildAdapterZip, readAdapter as readAdapterFiles } from '../../models/exports/adapterZip.ts';
import { type CardInfo, modelCard } from '../../models/exports/card.ts';
import { type LoadInfo, loaderScript } from '../../models/exports/loading.ts';
import { fromOlder, generationOf, isRenamed, toOlder } from '../../models/exports/names.ts';
import { checkKeys, toPeft } from '../../models/exports/peft.ts';
import { fromPeft } from '../../models/exports/peftImport.ts';
import type { Method, Tensors } from '../../models/methods/method.ts';
import type { Model } from '../../models/model.ts';
import { version } from '../../package.json' with { type: 'json' };
import type { Progress } from './checkpoint.ts';
import { score } from './metrics.ts';
import type { RunReport } from './report.ts';
import type { Session, SessionOptions } from './session.ts';

/** What a file is made from: a session with its trained values in place, on a GPU or without one. */
export type Exported = Pick<
  Session,
  'attachment' | 'classes' | 'parameters' | 'samplesOf' | 'shape' | 'trained'
> & { readonly options: Omit<SessionOptions, 'gpu'> };

export interface AdapterZipOptions {
  session: Exported;
  backbone: {
    /** What `base_model_name_or_path` says. */
    id: string;
    /** Id on a hub, where the base has one. */
    hubId?: string;
    title: string;
    licence?: string;
    about?: string;
    config: JsonObject;
    preprocessor: JsonObject;
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

/** The download: adapter for PEFT in both generations of names, card, preprocessing, labels, run, and the base if asked. */
export async function adapterZip(options: AdapterZipOptions): Promise<Uint8Array> {
  const { session, backbone, run } = options;
  const { model, pictures, settings, method } = session.options;
  const content = await contentOf(session, run.progress.knobs);
  checkKeys([...content.updates.map((u) => u.path), ...content.saved.keys()], modulePaths(model));
  const load = loadInfo(options, content);
  const peft = {
    baseModel: backbone.id,
    autoMapping: autoMapping(model),
    metadata: { method: method.card.id, settings: JSON.stringify(settings) },
  };
  return buildAdapterZip({
    adapter: toPeft(content, peft),
    older: load.renamed ? toPeft(toOlder(content, model.backbone), peft) : undefined,
    card: modelCard(cardInfo(options, load)),
    preprocessor: withImageSize(backbone.preprocessor, settings.image_size as number),
    labels: pictures.classes,
    run: runSummary(options),
    base: backbone.files && { files: backbone.files, loader: loaderScript({ ...load, withBase: true }) },
  });
}

async function contentOf(session: Exported, knobs: Record<string, number>): Promise<AdapterContent> {
  const { method, settings } = session.options;
  const trained = await session.trained();
  const { headPath } = session.shape.model.backbone;
  const saved = new Map([...trained].filter(([name]) => name.startsWith(`${headPath}.`)));
  // Knobs as they stand when the file is made: what the person saw is what they get.
  const own = Object.fromEntries(session.attachment.knobs.map((k) => [k.name, knobs[k.name] ?? k.value]));
  return { updates: method.toLowRank?.(session.attachment, { ...settings, ...own }, trained) ?? [], saved };
}

function modulePaths(model: Model): string[] {
  return [...model.modules.map((m) => m.path), model.backbone.headPath];
}

function autoMapping({ backbone }: Model) {
  if (backbone.family === 'timm') return undefined;
  const { family, taskClass } = backbone;
  return { base_model_class: taskClass, parent_library: `transformers.models.${family}.modeling_${family}` };
}

function loadInfo({ session, backbone }: AdapterZipOptions, content: AdapterContent): LoadInfo {
  const { model, settings } = session.options;
  const timm = model.backbone.family === 'timm';
  const side = settings.image_size as number;
  return {
    library: timm ? 'timm' : 'transformers',
    baseTitle: backbone.title,
    model: timm ? `${backbone.config.architecture}` : model.backbone.taskClass,
    hubId: backbone.hubId,
    withBase: backbone.files !== undefined,
    classes: session.classes,
    imageSize: side,
    interpolatePositions: model.backbone.family === 'vit' && side !== backbone.config.image_size,
    renamed: isRenamed(
      content.updates.map((u) => u.path),
      model.backbone,
    ),
  };
}

function cardInfo({ session, backbone, run }: AdapterZipOptions, load: LoadInfo): CardInfo {
  const { method, settings, pictures } = session.options;
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
      classes: pictures.classes,
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
      probe: report?.baseScore,
    },
    versions: { Graft: version },
  };
}

/** `run.json`: what a program needs to know of the run, and what restores it when the zip comes back. */
function runSummary({ session, backbone, run }: AdapterZipOptions): JsonObject {
  const { method, settings, pictures, backboneHash } = session.options;
  const { step, best, evals, journal } = run.progress;
  return {
    format: 1,
    name: run.name,
    method: method.card.id,
    settings,
    backbone: { id: backbone.id, title: backbone.title, hash: backboneHash },
    dataset: { name: run.dataset, hash: pictures.hash, classes: [...pictures.classes] },
    steps: step,
    best,
    validation: evals,
    journal,
    report: run.report && { split: run.report.split, score: run.report.score, probe: run.report.baseScore },
    versions: { Graft: version },
  };
}

/** An adapter made here or elsewhere, brought under the names of `model`. */
export interface ImportedAdapter {
  settings: Settings;
  tensors: Tensors;
  /** Class names in the order of the head's outputs; null where the file does not say. */
  labels: string[] | null;
  /** `run.json` of an adapter made here. */
  run: JsonObject | null;
  preprocessor: JsonObject | null;
}

/**
 * Reads a PEFT adapter of either generation of names. Throws `AdapterError` where it does not fit the model or the
 * method, saying what was found.
 */
export async function readAdapter(
  entries: readonly FileEntry[],
  model: Model,
  method: Method,
): Promise<ImportedAdapter> {
  const files = await readAdapterFiles(entries);
  let content = await fromPeft(files.config, files.checkpoint);
  const paths = modulePaths(model);
  if (
    generationOf(
      content.updates.map((u) => u.path),
      paths,
      model.backbone,
    ) === 'older'
  )
    content = fromOlder(content, paths, model.backbone);
  checkKeys([...content.updates.map((u) => u.path), ...content.saved.keys()], paths);
  if (content.updates.length && !method.fromLowRank)
    throw new AdapterError(
      `The file holds low-rank updates, which the method '${method.card.id}' does not have. Open it as LoRA.`,
    );
  const from = content.updates.length
    ? method.fromLowRank!(content.updates)
    : { settings: {}, tensors: new Map() };
  const side = sideOf(files.preprocessor);
  return {
    settings: { ...from.settings, ...(side ? { image_size: side } : {}) },
    tensors: new Map([...from.tensors, ...content.saved]),
    labels: files.labels ?? null,
    run: files.run ?? null,
    preprocessor: files.preprocessor ?? null,
  };
}

/** Side of the pictures that a preprocessor makes, where it makes squares. */
function sideOf(preprocessor: JsonObject | undefined): number | undefined {
  const size = (preprocessor?.do_center_crop ? preprocessor.crop_size : preprocessor?.size) as
    | { height?: unknown; width?: unknown }
    | undefined;
  return typeof size?.height === 'number' && size.height === size.width ? size.height : undefined;
}
