import { writeFile } from 'node:fs/promises';
import { readAdapter } from '../../workers/session/adapter.ts';
import { adaptedOnnx } from '../../workers/session/onnx.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { type Arguments, required, UsageError } from './args.ts';
import { openBackbone } from './backbone.ts';
import { entriesOf } from './samples.ts';

/** `graft export`: the backbone with an adapter merged into it, as one ONNX file. */
export async function exportCommand(args: Arguments): Promise<void> {
  const out = required(args, 'out');
  if (!out.endsWith('.onnx')) throw new UsageError(`--out names an .onnx file, not '${out}'.`);
  const backbone = await openBackbone(args.backbone, args);
  const { model } = backbone;
  const adapter = await readAdapter(await entriesOf(required(args, 'adapter')), model);
  const { method, tensors } = adapter;
  const preprocessor = adapter.preprocessor ?? backbone.files.preprocessor;
  if (!preprocessor)
    throw new UsageError(
      'Neither the adapter nor the backbone has a preprocessor_config.json, so the file could not say how samples are prepared.',
    );
  const head = tensors.get(`${model.head.path}.bias`);
  if (!head) throw new UsageError('The adapter has no classification head, so there is no model to export.');
  const settings = completeSettings(method, adapter.settings, defaultSettings(method, model, 1));
  const { onnx, kept } = await adaptedOnnx({
    model,
    method,
    settings,
    tensors,
    knobs: {},
    classes: adapter.labels ?? Array.from({ length: head.shape[0] }, (_, i) => `class ${i}`),
    preprocessor,
    name: backbone.title,
    backbone: backbone.title,
  });
  await writeFile(out, onnx);
  const how = kept ? `the adapter beside its weights: ${kept}` : 'the adapter merged into it';
  process.stderr.write(
    `Wrote ${out}, ${(onnx.byteLength / 2 ** 20).toFixed(1)} MB: ${backbone.title}, ${how}.\n`,
  );
}
