import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { sizeSetting } from '../../models/model.ts';
import { trainedParameters } from '../../models/tasks/index.ts';
import { adapterZip } from '../../workers/session/adapter.ts';
import { freshProgress } from '../../workers/session/checkpoint.ts';
import { exportedMerge, type MergeInput, mergeAdapters } from '../../workers/session/merging.ts';
import { type ImportedAdapter, readAdapter } from '../../workers/session/readAdapter.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { NodeFiles } from '../../workers/storage/files.node.ts';
import { type Arguments, number, required, toNumber, UsageError } from './args.ts';
import { type OpenBackbone, openBackbone } from './backbone.ts';
import { writeModel } from './export.ts';
import { entriesOf } from './samples.ts';

/** `graft merge`: several adapters of one backbone added with weights, as an adapter or as a whole model. */
export async function mergeCommand(args: Arguments): Promise<void> {
  const out = required(args, 'out');
  const paths = args.adapters;
  if (paths.length < 2) throw new UsageError('Give --adapter twice or more: the adapters that are added.');
  const weights = weightsOf(args.weights, paths.length);
  const backbone = await openBackbone(args.backbone, args);
  const { model } = backbone;
  const read = await Promise.all(paths.map(async (path) => readAdapter(await entriesOf(path), model)));
  const inputs = read.map((adapter, i) => inputOf(adapter, backbone, basename(paths[i]), weights[i]));
  const merged = await mergeAdapters(model, inputs, number(args, 'rank') ?? null);
  const preprocessor = read[0].preprocessor ?? backbone.files.preprocessor;
  if (!preprocessor)
    throw new UsageError(
      'Neither the first adapter nor the backbone has a preprocessor_config.json, so the file could not say how pictures are prepared.',
    );
  const settings = { ...defaultSettings(merged.method, model, 1), ...merged.settings, ...sizeOf(inputs[0]) };
  const about = inputs.map((i) => `${i.weight} × ${i.name} (${i.method.card.title})`).join(' + ');
  if (args.merged || out.endsWith('.onnx')) {
    const { method, tensors, classes } = merged;
    const name = paths.map((path) => basename(path)).join(' + ');
    const adapted = { model, method, settings, tensors, knobs: {}, classes, preprocessor, name };
    return writeModel(out, { ...adapted, backbone: backbone.title }, backbone, about);
  }
  if (merged.onlyMerged) throw new UsageError(`${merged.onlyMerged} Give --merged, or an .onnx file.`);
  const zip = await adapterZip({
    session: exportedMerge(
      model,
      merged,
      {
        files: new NodeFiles(args.cache ?? '.cache/graft'),
        backboneHash: backbone.hash,
        folder: 'merging',
        report: () => {},
      },
      settings,
    ),
    backbone: {
      id: backbone.name,
      title: backbone.title,
      licence: backbone.licence,
      about: backbone.about,
      config: backbone.files.config,
      preprocessor,
    },
    run: {
      name: paths.map((path) => basename(path)).join(' + '),
      dataset: 'the data of each',
      split: `that of each adapter's own training; this one is their sum: ${about}`,
      progress: freshProgress({}),
      report: null,
    },
  });
  await writeFile(out, zip);
  const width =
    merged.width === null ? '' : `, ${merged.form === 'sparse' ? 'entries' : 'rank'} ${merged.width}`;
  process.stderr.write(
    `Wrote ${out}: ${about}; ${merged.method.card.title}${width}, ${merged.classes.length} classes.\n`,
  );
}

function weightsOf(text: string | undefined, count: number): number[] {
  const weights = text?.split(',').map((w) => toNumber(w, '--weights')) ?? Array(count).fill(1 / count);
  if (weights.length !== count)
    throw new UsageError(`--weights has ${weights.length} numbers for ${count} adapters; give one for each.`);
  return weights;
}

const sizes: string[] = Object.values(sizeSetting);

/** The size of a sample that an adapter was trained at. */
const sizeOf = ({ settings }: MergeInput) =>
  Object.fromEntries(Object.entries(settings).filter(([key]) => sizes.includes(key)));

function inputOf(
  adapter: ImportedAdapter,
  { model }: OpenBackbone,
  name: string,
  weight: number,
): MergeInput {
  const { method, tensors, labels } = adapter;
  const settings = completeSettings(method, adapter.settings, defaultSettings(method, model, 1));
  const attachment = method.attach(model, settings);
  const count = tensors.get(`${model.head.path}.weight`)?.shape[0] ?? 0;
  const classes = labels ?? Array.from({ length: count }, (_, i) => `class ${i}`);
  const lacks = trainedParameters(model, attachment, count).find((p) => count && !tensors.has(p.name));
  if (lacks) throw new UsageError(`${name} has no '${lacks.name}'; fetch it again.`);
  return { method, attachment, settings, tensors, weight, name, classes };
}
