import type { JsonObject } from '../../models/checkpoints/folder.ts';
import { withImageSize } from '../../models/data/preprocess.ts';
import { mergedCard, mergedModelZip } from '../../models/exports/mergedModel.ts';
import { mergedWeights } from '../../models/methods/merge.ts';
import { MethodError } from '../../models/methods/method.ts';
import { noBase } from '../../models/methods/start.ts';
import type { AdaptedModel } from './onnx.ts';

/** A trained adapter to be written as a model of its backbone's library. */
export interface MergedFolder extends Omit<AdaptedModel, 'backbone'> {
  /** `config.json` of the backbone. */
  config: JsonObject;
  /** What was merged, in words. */
  about: string;
  backbone: { readonly title: string; readonly licence?: string };
  /** Files of the backbone's tokenizer by name, where it reads text. */
  tokenizer?: ReadonlyMap<string, Uint8Array>;
}

/**
 * The backbone with an adapter merged into it and the trained head, as a Hugging Face folder in a zip. Throws
 * `MethodError`, with the reason, for a method that cannot be merged.
 */
export async function mergedZip(adapted: MergedFolder): Promise<Uint8Array> {
  const { model, method, tensors, classes, backbone, config } = adapted;
  const attachment = method.attach(model, adapted.settings);
  const knobs = Object.fromEntries(attachment.knobs.map((k) => [k.name, adapted.knobs[k.name] ?? k.value]));
  const settings = { ...adapted.settings, ...knobs };
  const base = { ...noBase, weight: (path: string) => model.f32(path) };
  const changes = attachment.parameters.length > 0 || method.merge !== undefined;
  const merged = changes
    ? await mergedWeights(method, attachment, settings, tensors, base).catch((error) => {
        if (!(error instanceof MethodError)) throw error;
        throw new MethodError(`${error.message} The ONNX file keeps it beside the weights.`);
      })
    : new Map<string, Float32Array>();
  const size = model.sizeIn(settings);
  const image = model.backbone.modality === 'image';
  const timm = model.backbone.family === 'timm';
  return mergedModelZip({
    backbone: model.backbone,
    checkpoint: model.checkpoint,
    config,
    merged,
    head: new Map([...tensors].filter(([name]) => model.isHead(name))),
    classes,
    preprocessor: image ? withImageSize(adapted.preprocessor, size) : adapted.preprocessor,
    tokenizer: adapted.tokenizer,
    card: mergedCard({
      title: adapted.name,
      base: backbone.title,
      baseLicence: backbone.licence,
      library: timm ? 'timm' : 'transformers',
      model: timm ? `${config.architecture}` : model.backbone.taskClass,
      side: image ? size : null,
      interpolatePositions: model.backbone.family === 'vit' && size !== config.image_size,
      about: adapted.about,
      classes,
    }),
  });
}
