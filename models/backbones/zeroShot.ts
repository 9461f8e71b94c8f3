import {
  add,
  div,
  exp,
  matmul,
  mul,
  reduceSum,
  reshape,
  sqrt,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { HuggingFaceFolder } from '../checkpoints/folder.ts';
import { Model } from '../model.ts';
import { type Interception, Scope } from '../scope.ts';
import { type Backbone, type BackboneOutput, ConfigError, type Inputs } from './backbone.ts';
import { clip, clipImageEmbedding } from './clip.ts';
import { clipText, clipTextEmbedding } from './clipText.ts';
import { siglip, siglipImageEmbedding } from './siglip.ts';
import { siglipText, siglipTextEmbedding } from './siglipText.ts';

/** Both towers of one checkpoint, and how near a picture is to a text in it. */
export interface ZeroShot {
  readonly image: Model;
  readonly text: Model;
  /** Pictures as `image.inputs` has them, embedded [B, P]; methods may step in. */
  embedImages(inputs: Inputs, interceptions?: readonly Interception[]): Tensor;
  /** Texts as `text.inputs` has them, embedded [N, P]. */
  embedTexts(inputs: Inputs, interceptions?: readonly Interception[]): Tensor;
  /** Logits of each text for each picture, [B, N]: scaled cosines of the embeddings, shifted where the family has it. */
  logitsPerImage(images: Tensor, texts: Tensor): Tensor;
}

/** A tower, and the embedding that its output becomes. */
interface Tower<C> {
  backbone: Backbone<C>;
  embedding(root: Scope, output: BackboneOutput, config: C): Tensor;
}

/** Opens a folder of `CLIPModel` or `SiglipModel`. Throws `ConfigError` for another, and for one without a pooling head. */
export function openZeroShot({ config, checkpoint }: HuggingFaceFolder): ZeroShot {
  const open = <A, B>(image: Tower<A>, text: Tower<B>): ZeroShot => {
    const pictures = new Model(image.backbone, image.backbone.configure(config), checkpoint);
    const texts = new Model(text.backbone, text.backbone.configure(config), checkpoint);
    return {
      image: pictures,
      text: texts,
      embedImages: (inputs, interceptions = []) => embedded(pictures, image, inputs, interceptions),
      embedTexts: (inputs, interceptions = []) => embedded(texts, text, inputs, interceptions),
      logitsPerImage: (images, words) =>
        compared(new Scope({ weights: pictures.weights(), interceptions: [] }), images, words),
    };
  };
  if (config.model_type === 'clip')
    return open(
      { backbone: clip, embedding: clipImageEmbedding },
      { backbone: clipText, embedding: clipTextEmbedding },
    );
  if (config.model_type !== 'siglip')
    throw new ConfigError(
      `This is a '${config.model_type}' model, which has no text tower beside one for pictures. Choose a folder of CLIPModel or SiglipModel.`,
    );
  if (!checkpoint.has('vision_model.head.probe'))
    throw new ConfigError(
      'Its picture tower has no pooling head (vision_use_head is false), which comparing with texts needs. Choose a folder of SiglipModel.',
    );
  return open(
    { backbone: siglip, embedding: siglipImageEmbedding },
    { backbone: siglipText, embedding: siglipTextEmbedding },
  );
}

function embedded<C>(
  model: Model<C>,
  { embedding }: Tower<C>,
  inputs: Inputs,
  interceptions: readonly Interception[],
): Tensor {
  const scope = new Scope({ weights: model.weights(), interceptions });
  return embedding(scope, model.backbone.forward(scope, inputs, model.config), model.config);
}

function compared(root: Scope, images: Tensor, texts: Tensor): Tensor {
  const cosines = matmul(unit(images), unit(texts), { tb: true });
  const scaled = mul(cosines, exp(reshape(root.weight('logit_scale'), [])));
  return root.has('logit_bias') ? add(scaled, reshape(root.weight('logit_bias'), [])) : scaled;
}

/** Rows of x [N, P] at length 1. */
const unit = (x: Tensor): Tensor => div(x, sqrt(reduceSum(mul(x, x), [1], true)));
