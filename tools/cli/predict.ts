import { writeFile } from 'node:fs/promises';
import { predictionsCsv } from '../../models/exports/csv.ts';
import { readAdapter } from '../../workers/session/adapter.ts';
import { argmax } from '../../workers/session/metrics.ts';
import { Session } from '../../workers/session/session.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { NodeFiles } from '../../workers/storage/files.node.ts';
import { openOnnx } from '../onnx/node.ts';
import { type Arguments, required, UsageError } from './args.ts';
import { openBackbone } from './backbone.ts';
import { openGpu } from './gpu.ts';
import { entriesOf, FolderSamples } from './samples.ts';

/** `graft predict`: logits of every sample under an adapter, as CSV. */
export async function predictCommand(args: Arguments): Promise<void> {
  const out = required(args, 'out');
  const data = required(args, 'data');
  const backbone = await openBackbone(args.backbone, args);
  const adapter = await readAdapter(await entriesOf(required(args, 'adapter')), backbone.model);
  const { method } = adapter;
  const preprocessor = adapter.preprocessor ?? backbone.files.preprocessor;
  if (!preprocessor)
    throw new UsageError(
      'Neither the adapter nor the backbone has a preprocessor_config.json, so samples cannot be prepared.',
    );
  const head = adapter.tensors.get(`${backbone.model.head.path}.bias`);
  const classes = adapter.labels ?? Array.from({ length: head?.shape[0] ?? 0 }, (_, i) => `class ${i}`);
  if (!classes.length)
    throw new UsageError('The adapter has no classification head, so there is nothing to predict.');
  const dataset = await FolderSamples.unlabelled(data, preprocessor, classes);
  const gpu = await openGpu();
  const session = await Session.open({
    gpu,
    files: new NodeFiles(args.cache ?? '.cache/graft'),
    backboneHash: backbone.hash,
    model: backbone.model,
    method,
    settings: completeSettings(method, adapter.settings, {
      ...defaultSettings(method, backbone.model, 1),
      augment: 0,
    }),
    dataset,
    folder: `runs/cli-${process.pid}`,
    start: adapter.tensors,
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
  await writeFile(out, predictionsCsv(classes, rows));
  session.destroy();
  gpu.destroy();
  process.stderr.write(`Wrote ${out}: ${rows.length} samples, ${classes.length} classes.\n`);
}
