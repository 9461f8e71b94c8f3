import { writeFile } from 'node:fs/promises';
import { mergedZip } from '../../workers/session/mergedModel.ts';
import { type AdaptedModel, adaptedOnnx } from '../../workers/session/onnx.ts';
import { readAdapter } from '../../workers/session/readAdapter.ts';
import { completeSettings, defaultSettings } from '../../workers/settings.ts';
import { type Arguments, required, UsageError } from './args.ts';
import { type OpenBackbone, openBackbone } from './backbone.ts';
import { entriesOf } from './samples.ts';

/** `graft export`: the backbone with an adapter merged into it, as one ONNX file, or as a folder in a zip. */
export async function exportCommand(args: Arguments): Promise<void> {
  const out = required(args, 'out');
  const end = args.merged ? '.zip' : '.onnx';
  if (!out.endsWith(end))
    throw new UsageError(
      `--out names ${args.merged ? 'a' : 'an'} ${end} file${args.merged ? ' with --merged' : ''}, not '${out}'.`,
    );
  const backbone = await openBackbone(args.backbone, args);
  const { model } = backbone;
  const adapter = await readAdapter(await entriesOf(required(args, 'adapter')), model);
  const { method, tensors } = adapter;
  const reads = model.backbone.modality;
  const preprocessor =
    adapter.preprocessor ?? backbone.files.preprocessor ?? (reads === 'text' ? {} : undefined);
  if (!preprocessor)
    throw new UsageError(
      'Neither the adapter nor the backbone has a preprocessor_config.json, so the file could not say how samples are prepared.',
    );
  const head = tensors.get(`${model.head.path}.bias`);
  if (!head) throw new UsageError('The adapter has no classification head, so there is no model to export.');
  const settings = completeSettings(method, adapter.settings, defaultSettings(method, model, 1));
  const adapted: AdaptedModel = {
    model,
    method,
    settings,
    tensors,
    knobs: {},
    classes: adapter.labels ?? Array.from({ length: head.shape[0] }, (_, i) => `class ${i}`),
    preprocessor,
    name: backbone.title,
    backbone: backbone.title,
  };
  await writeModel(out, adapted, backbone, `a ${method.card.title} adapter`);
}

/** Writes a backbone with an adapter as the name of the file asks: an ONNX file, or a zip of a merged folder. */
export async function writeModel(
  out: string,
  adapted: AdaptedModel,
  backbone: OpenBackbone,
  about: string,
): Promise<void> {
  const { bytes, how } = out.endsWith('.onnx')
    ? await asOnnx(adapted)
    : await asFolder(adapted, backbone, about);
  await writeFile(out, bytes);
  process.stderr.write(
    `Wrote ${out}, ${(bytes.byteLength / 2 ** 20).toFixed(1)} MB: ${backbone.title}, ${how}.\n`,
  );
}

const folded = 'the adapter merged into it';

async function asOnnx(adapted: AdaptedModel) {
  const { onnx, kept } = await adaptedOnnx(adapted);
  return { bytes: onnx, how: kept ? `the adapter beside its weights: ${kept}` : folded };
}

async function asFolder(adapted: AdaptedModel, from: OpenBackbone, about: string) {
  const { title, licence, files } = from;
  const bytes = await mergedZip({
    ...adapted,
    config: files.config,
    about,
    backbone: { title, licence },
    tokenizer: adapted.model.backbone.modality === 'text' ? await from.tokenizerFiles() : undefined,
  });
  return { bytes, how: folded };
}
