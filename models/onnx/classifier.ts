import { narrowRows, parameter, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Attachment, Tensors } from '../methods/method.ts';
import type { Model } from '../model.ts';
import { headOf, traceClassification } from '../tasks/index.ts';
import { type OnnxFile, type OnnxSource, writeOnnx } from './write.ts';

/** What pipelines call the task, by what the backbone reads. */
const taskNames = {
  image: 'image-classification',
  text: 'text-classification',
  audio: 'audio-classification',
} as const;

/** Names of inputs as exported models have them. */
export const onnxNames = {
  pixels: 'pixel_values',
  ids: 'input_ids',
  mask: 'attention_mask',
  types: 'token_type_ids',
  decoder_ids: 'decoder_input_ids',
  mel: 'input_features',
} as const;

/** What a classifier's file is made from. */
export interface ClassifierOnnx {
  readonly model: Model;
  readonly attachment: Attachment;
  /** Trained values of the method and of the head. */
  readonly tensors: Tensors;
  /** Frozen weights as they become with the adapter folded in, by path; null keeps the adapter as operations. */
  readonly merged: ReadonlyMap<string, Float32Array> | null;
  /** The method's knobs, as they are in the file. */
  readonly knobs: Readonly<Record<string, number>>;
  readonly classes: readonly string[];
  /** Side, tokens or seconds of a sample. */
  readonly size: number;
  readonly preprocessor: JsonObject;
  readonly name: string;
  readonly version: string;
  /** More that the file tells of itself. */
  readonly about?: Readonly<Record<string, string>>;
}

/**
 * An adapted backbone with its head as one ONNX file: its inputs under the names that exported models have
 * (`pixel_values` f32 [batch, 3, side, side], preprocessed as the metadata's `preprocessor_config` says), to `logits` f32 [batch, classes], no softmax. The metadata's `labels` names
 * the classes. Throws `OnnxExportError`.
 */
export function classifierOnnx(options: ClassifierOnnx): Promise<OnnxFile> {
  const { model, tensors, merged, knobs, classes, preprocessor, about = {} } = options;
  const metadata = new Map(
    Object.entries({
      task: taskNames[model.backbone.modality],
      labels: JSON.stringify(classes),
      preprocessor_config: JSON.stringify(preprocessor),
      merged: `${merged !== null}`,
      ...about,
    }),
  );
  const source = (batch: number): OnnxSource => ({
    outputs: { logits: narrowRows([merged ? plain(options, batch) : attached(options, batch)])[0] },
    inputs: onnxNames,
    read: async (name) => merged?.get(name) ?? tensors.get(name)?.data ?? model.unpacked(name),
    fixed: Object.fromEntries(Object.entries(knobs).map(([k, v]) => [`knob:${k}`, Float32Array.of(v)])),
    metadata,
    name: options.name,
    version: options.version,
    weights: 'embedded',
  });
  return writeOnnx(source, 1);
}

function attached({ model, attachment, classes, size }: ClassifierOnnx, batch: number): Tensor {
  const shape = { classes: classes.length, batch, size, labelSmoothing: 0, training: false };
  return traceClassification(model, attachment, shape).logits;
}

/** The backbone with other weights in some places, and the head. */
function plain({ model, merged, classes, size }: ClassifierOnnx, batch: number): Tensor {
  const { features } = model.trace(model.inputs(batch, size), [
    { parameter: (path, frozen) => (merged!.has(path) ? parameter(path, frozen.shape) : null) },
  ]);
  return headOf(model, classes.length, (name, shape) => parameter(name, shape))(features);
}
