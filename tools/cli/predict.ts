import { writeFile } from 'node:fs/promises';
import type { Settings } from '../../models/describe.ts';
import { embeddingsCsv, predictionsCsv } from '../../models/exports/csv.ts';
import { methodById } from '../../models/methods/index.ts';
import type { Method, Tensors } from '../../models/methods/method.ts';
import { headParameters } from '../../models/tasks/index.ts';
import { openEmbedder } from '../../workers/session/embed.ts';
import { argmax } from '../../workers/session/metrics.ts';
import type { Dataset } from '../../workers/session/ports.ts';
import { readAdapter } from '../../workers/session/readAdapter.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { NodeFiles } from '../../workers/storage/files.node.ts';
import { openOnnx } from '../onnx/node.ts';
import { type Arguments, givenSettings, required, UsageError } from './args.ts';
import { type OpenBackbone, openBackbone } from './backbone.ts';
import { openGpu } from './gpu.ts';
import { tokenizerIn } from './language.ts';
import { entriesOf, FolderSamples } from './samples.ts';
import { FileTexts } from './texts.ts';

/** What answers: an adapter, or the backbone's own head. */
interface Answering {
  method: Method;
  settings: Settings;
  tensors: Tensors;
  classes: string[];
}

/** `graft predict`: logits of every sample under an adapter or the backbone's own head, or its features, as CSV. */
export async function predictCommand(args: Arguments): Promise<void> {
  const out = required(args, 'out');
  const backbone = await openBackbone(args.backbone, args);
  const output = args.output ?? 'labels';
  if (output !== 'labels' && output !== 'embeddings')
    throw new UsageError(`--output takes labels or embeddings, not '${output}'.`);
  if (output === 'embeddings' && args.adapter)
    throw new UsageError('--output embeddings writes what the frozen backbone gives; leave --adapter out.');
  const text = output === 'embeddings' ? await embeddings(args, backbone) : await labels(args, backbone);
  await writeFile(out, text.csv);
  process.stderr.write(`Wrote ${out}: ${text.what}.\n`);
}

async function labels(args: Arguments, backbone: OpenBackbone): Promise<{ csv: string; what: string }> {
  const { model } = backbone;
  const answering = args.adapter ? await adapted(args, backbone) : await ownHead(backbone);
  const { method, classes } = answering;
  const { dataset, size } = await samplesFor(args, backbone, classes, answering.settings);
  const gpu = await openGpu();
  const session = await Session.open({
    gpu,
    files: new NodeFiles(args.cache ?? '.cache/graft'),
    backboneHash: backbone.hash,
    model,
    method,
    settings: completeSettings(
      method,
      { ...answering.settings, ...size },
      { ...defaultSettings(method, model, 1), ...(model.backbone.modality === 'image' && { augment: 0 }) },
    ),
    dataset,
    folder: `runs/cli-${process.pid}`,
    start: answering.tensors,
    onnx: openOnnx(),
    report: () => {},
  });
  const samples = dataset.samples.map((_, i) => i);
  const logits = await session.logits(samples, session.startKnobs());
  const rows = samples.map((i) => ({
    file: dataset.samples[i].path,
    label: classes[argmax(logits[i])],
    logits: logits[i],
  }));
  session.destroy();
  gpu.destroy();
  return { csv: predictionsCsv(classes, rows), what: `${rows.length} samples, ${classes.length} classes` };
}

async function embeddings(args: Arguments, backbone: OpenBackbone): Promise<{ csv: string; what: string }> {
  const { model } = backbone;
  const method = methodById('linear-probe');
  const { dataset, size } = await samplesFor(args, backbone, ['none'], {});
  const settings = completeSettings(method, size, defaultSettings(method, model, 1));
  const pooling = backbone.poolsMean ? 'mean' : 'head';
  const embedder = await openEmbedder(model, model.sizeIn(settings), openOnnx(), pooling);
  const rows: { file: string; values: Float32Array }[] = [];
  for (let from = 0; from < dataset.samples.length; from += 64) {
    const part = dataset.samples.slice(from, from + 64);
    const values = await dataset.load(
      part.map((_, i) => from + i),
      model.sizeIn(settings),
      null,
    );
    const vectors = await embedder.embed(values);
    part.forEach(({ path }, i) => {
      rows.push({ file: path, values: vectors[i] });
    });
  }
  await embedder.close();
  const read = pooling === 'mean' ? 'the mean over tokens' : 'what the head reads';
  return {
    csv: embeddingsCsv(rows),
    what: `${rows.length} samples, ${rows[0]?.values.length ?? 0} features (${read})`,
  };
}

async function adapted(args: Arguments, { model }: OpenBackbone): Promise<Answering> {
  const adapter = await readAdapter(await entriesOf(required(args, 'adapter')), model);
  const head = adapter.tensors.get(`${model.head.path}.weight`);
  const classes = adapter.labels ?? Array.from({ length: head?.shape[0] ?? 0 }, (_, i) => `class ${i}`);
  if (!classes.length)
    throw new UsageError('The adapter has no classification head, so there is nothing to predict.');
  return { ...adapter, classes };
}

/** The classification head that the checkpoint has, under the class names of its configuration. */
async function ownHead({ model, files, folder }: OpenBackbone): Promise<Answering> {
  const weight = `${model.head.path}.weight`;
  if (!model.has(weight))
    throw new UsageError(
      `'${folder}' has no classification head (${weight}). Give an adapter with --adapter, or take its features with --output embeddings.`,
    );
  const count =
    (await model.f32(weight)).length / headParameters(model, 1).find((p) => p.name === weight)!.shape[1];
  const tensors = new Map(
    await Promise.all(
      headParameters(model, count).map(
        async ({ name, shape }) =>
          [name, { shape, data: model.has(name) ? await model.f32(name) : new Float32Array(count) }] as const,
      ),
    ),
  );
  const names = (files.config.id2label ?? {}) as Record<string, string>;
  const classes = Array.from({ length: count }, (_, i) => names[i] ?? `class ${i}`);
  return { method: methodById('linear-probe'), settings: {}, tensors, classes };
}

/** The samples that `--data` names, and the setting of their size where it is the data that says it. */
async function samplesFor(
  args: Arguments,
  backbone: OpenBackbone,
  classes: string[],
  settings: Settings,
): Promise<{ dataset: Dataset; size: Settings }> {
  const data = required(args, 'data');
  const { model, folder } = backbone;
  const given = givenSettings(args, methodById('linear-probe'));
  if (model.backbone.modality === 'text') {
    const dataset = await FileTexts.unlabelled(data, args, classes, {
      tokenizer: await tokenizerIn(folder),
      model,
    });
    const length = given.max_length ?? settings.max_length ?? (await dataset.length());
    return { dataset, size: { max_length: length } };
  }
  const adapter = args.adapter ? await readAdapter(await entriesOf(args.adapter), model) : null;
  const preprocessor = adapter?.preprocessor ?? backbone.files.preprocessor;
  if (!preprocessor)
    throw new UsageError(
      'Neither the adapter nor the backbone has a preprocessor_config.json, so samples cannot be prepared.',
    );
  return { dataset: await FolderSamples.unlabelled(data, preprocessor, classes), size: given };
}
