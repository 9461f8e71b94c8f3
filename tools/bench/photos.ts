import { basename } from 'node:path';
import { defaultSplit } from '../../models/data/split.ts';
import type { Settings } from '../../models/describe.ts';
import { methodById } from '../../models/methods/index.ts';
import { adapterZip } from '../../workers/session/adapter.ts';
import { reportOf } from '../../workers/session/report.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { MemoryFiles } from '../../workers/storage/memory.ts';
import { openBackbone } from '../cli/backbone.ts';
import { openGpu } from '../cli/gpu.ts';
import { FolderSamples } from '../cli/samples.ts';
import { openOnnx } from '../onnx/node.ts';

/** From a folder of photos to a trained adapter, with the settings that the page would choose. */
export interface PhotosResult {
  data: string;
  photos: number;
  trained: number;
  tested: number;
  classes: number;
  adapter: string;
  /** What computed the frozen features. */
  prefix: string;
  settings: Pick<Settings, 'image_size' | 'batch_size' | 'epochs'>;
  steps: number;
  /** Of each part, one after the other. */
  seconds: {
    read: number;
    weights: number;
    compile: number;
    features: number;
    train: number;
    score: number;
    zip: number;
    all: number;
  };
  /** On the test split. */
  accuracy: { adapter: number; probe: number } | null;
  zip_bytes: number;
}

/** Epochs short enough for a machine without a GPU; what a person waits for on one is in `seconds`. */
const EPOCHS = 2;

export async function measurePhotos(folder: string): Promise<PhotosResult> {
  const from = performance.now();
  const marks: Record<string, number> = {};
  const lap = (name: string, since: number) => {
    marks[name] = (performance.now() - since) / 1000;
    return performance.now();
  };
  const gpu = await openGpu();
  const backbone = await openBackbone();
  const dataset = await FolderSamples.open(folder, backbone.files.preprocessor!, {
    ...defaultSplit,
    val: 0,
    test: 0,
  });
  let at = lap('read', from);
  const method = methodById('lora');
  const of = (split: string) => dataset.samples.filter((s) => s.split === split).length;
  const settings = completeSettings(
    method,
    { epochs: EPOCHS },
    defaultSettings(method, backbone.model, of('train')),
  );
  const begun = new Map<string, number>();
  const session = await Session.open({
    gpu,
    files: new MemoryFiles(),
    backboneHash: backbone.hash,
    model: backbone.model,
    method,
    settings,
    dataset,
    onnx: openOnnx(),
    folder: 'runs/bench',
    report(phase) {
      if (!begun.has(phase)) begun.set(phase, performance.now());
    },
  });
  const [weights, kernels, features] = [...begun.values()];
  marks.weights = (kernels - weights) / 1000;
  marks.compile = (features - kernels) / 1000;
  at = lap('features', features);
  const { progress } = await session.run(
    { wish: 'run', turns: [], now: () => performance.now() },
    { step: () => {}, evaluated: () => {}, notice: (message) => console.log(message) },
  );
  at = lap('train', at);
  await session.takeBest();
  const report = await reportOf(session, progress.knobs);
  at = lap('score', at);
  const zip = await adapterZip({
    session,
    backbone: {
      id: backbone.folder,
      title: backbone.title,
      config: backbone.files.config,
      preprocessor: backbone.files.preprocessor!,
      licence: backbone.licence,
      about: backbone.about,
      files: undefined,
    },
    run: { name: 'bench', dataset: basename(folder), split: 'by folders', seconds: 0, progress, report },
  });
  lap('zip', at);
  lap('all', from);
  const { image_size, batch_size, epochs } = settings;
  const result: PhotosResult = {
    data: basename(folder),
    photos: dataset.samples.length,
    trained: of('train'),
    tested: of('test'),
    classes: dataset.classes.length,
    adapter: gpu.info.description,
    prefix: session.prefix.choice.by,
    settings: { image_size, batch_size, epochs },
    steps: session.steps,
    seconds: marks as PhotosResult['seconds'],
    accuracy: report && { adapter: report.score.accuracy, probe: report.baseScore!.accuracy },
    zip_bytes: zip.byteLength,
  };
  session.destroy();
  gpu.destroy();
  return result;
}

export function photosTable({ seconds }: PhotosResult): string[][] {
  return [
    ['part', 'seconds'],
    ...(
      [
        ['read and list the folder, open the device', 'read'],
        ['load the weights', 'weights'],
        ['compile', 'compile'],
        ['decode, resize, frozen features of every photo', 'features'],
        ['train', 'train'],
        ['score, beside a tuned linear probe', 'score'],
        ['adapter as a zip', 'zip'],
        ['all', 'all'],
      ] as const
    ).map(([label, key]) => [label, seconds[key].toFixed(1)]),
  ];
}

export const photosLine = (p: PhotosResult): string =>
  `${p.photos} photos (${p.data}: ${p.trained} to train, ${p.tested} to test, ${p.classes} classes), LoRA with its defaults at ${p.settings.image_size} px, batch ${p.settings.batch_size}, ${p.settings.epochs} epochs (${p.steps} steps), on ${p.adapter}; frozen features by ${p.prefix}.${p.accuracy ? ` Test accuracy ${(100 * p.accuracy.adapter).toFixed(1)} %, the probe's ${(100 * p.accuracy.probe).toFixed(1)} %.` : ''}`;
