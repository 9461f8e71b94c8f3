import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { withImageSize } from '../../models/data/preprocess.ts';
import type { Settings } from '../../models/describe.ts';
import { mergedWeights } from '../../models/methods/merge.ts';
import { type Method, MethodError, type Tensors } from '../../models/methods/method.ts';
import { noBase } from '../../models/methods/start.ts';
import type { Model } from '../../models/model.ts';
import { classifierOnnx } from '../../models/onnx/index.ts';
import { version } from '../../package.json' with { type: 'json' };

/** A trained adapter to be written as one ONNX file with its backbone. */
export interface AdaptedModel {
  model: Model;
  method: Method;
  settings: Settings;
  /** Trained values and buffers of the method, and the head's. */
  tensors: Tensors;
  /** Knobs as they stand; the method's own start values where one is not here. */
  knobs: Readonly<Record<string, number>>;
  classes: readonly string[];
  preprocessor: JsonObject;
  /** What the file calls itself, and the backbone. */
  name: string;
  backbone: string;
}

export interface AdaptedFile {
  onnx: Uint8Array<ArrayBuffer>;
  /** Why the adapter is not folded into the weights but kept as operations; null where it is folded in. */
  kept: string | null;
}

/**
 * The model as an ONNX file: the adapter merged into the weights where its method can be, else kept beside them.
 * Throws `OnnxExportError`.
 */
export async function adaptedOnnx(adapted: AdaptedModel): Promise<AdaptedFile> {
  const { method, tensors, classes, preprocessor, name, backbone } = adapted;
  const model = adapted.model.holding(adapted.settings);
  const attachment = method.attach(model, adapted.settings);
  const knobs = Object.fromEntries(attachment.knobs.map((k) => [k.name, adapted.knobs[k.name] ?? k.value]));
  const settings = { ...adapted.settings, ...knobs };
  const size = model.sizeIn(settings);
  const base = { ...noBase, weight: (path: string) => model.f32(path) };
  // Where nothing is trained but the head, the backbone is merged as it is.
  let merged: Map<string, Float32Array> | null =
    attachment.parameters.length || method.merge ? null : new Map();
  let kept: string | null = null;
  try {
    merged ??= await mergedWeights(method, attachment, settings, tensors, base);
  } catch (error) {
    if (!(error instanceof MethodError)) throw error;
    kept = error.message;
  }
  const { graph } = await classifierOnnx({
    model,
    attachment,
    tensors,
    merged,
    knobs,
    classes,
    size,
    preprocessor: model.backbone.modality === 'image' ? withImageSize(preprocessor, size) : preprocessor,
    name,
    version,
    about: { method: method.card.id, backbone },
  });
  return { onnx: graph, kept };
}
