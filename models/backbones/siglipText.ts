import { reshape, slice, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import type { Backbone, BackboneOutput } from './backbone.ts';
import { encoderBlockOf, encoderBlocks, encoderPresets, towerConfig } from './clipEncoder.ts';
import { type TextTowerConfig, textEmbeddings } from './clipText.ts';
import { readActivation, readNumber } from './readConfig.ts';
import { checkHeads, textInputs, withoutLearnt } from './text.ts';

/**
 * The text tower of SigLIP under the names of `SiglipModel`. It was trained on texts filled up to its full length, and
 * reads the filling like words: there is no mask, and the last place stands for the text whatever is there.
 */
export const siglipText: Backbone<Omit<TextTowerConfig, 'end'>> = {
  family: 'siglip_text_model',
  title: 'SigLIP text tower',
  accepts: (config) => config.model_type === 'siglip_text_model',
  configure(config) {
    const text = towerConfig(config, 'text', 'siglip');
    const hidden = readNumber(text, 'hidden_size', 768);
    const heads = readNumber(text, 'num_attention_heads', 12);
    checkHeads(hidden, heads);
    return {
      hidden,
      heads,
      blocks: readNumber(text, 'num_hidden_layers', 12),
      eps: readNumber(text, 'layer_norm_eps', 1e-6),
      activation: readActivation(text, 'hidden_act', 'gelu_pytorch_tanh'),
      most: readNumber(text, 'max_position_embeddings', 64),
    };
  },
  basePrefix: 'text_model.',
  diskName: (path) => path,
  modality: 'text',
  inputs: (_, size) => textInputs(size).filter(({ name }) => name === 'ids'),

  forward(root, { ids }, config) {
    const scope = root.child('text_model');
    const x = textEmbeddings(scope.child('embeddings'), ids);
    const hidden = encoderBlocks(scope, x, config);
    const last = scope.layerNorm(hidden, 'final_layer_norm', config.eps);
    return { features: finalToken(last), last: withoutLearnt(last, ids.shape[1]) };
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf: encoderBlockOf,
  head: () => ({ path: 'text_model.head', bias: true, hidden: [] }),
  taskClass: 'SiglipTextModel',
  presets: ({ blocks }) => encoderPresets(blocks, 'text_model'),
  size: ({ most }) => ({ default: most, min: most, max: most, multiple: 1, unit: 'tokens' }),
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

/** What SigLIP compares with pictures: the last token projected, [B, D]. */
export const siglipTextEmbedding = (root: Scope, { features }: BackboneOutput): Tensor =>
  root.child('text_model').linear(features, 'head');

/** The last of x [B, T, D]: [B, D]. */
function finalToken(x: Tensor): Tensor {
  const [batch, tokens, hidden] = x.shape;
  return reshape(slice(x, [0, tokens - 1, 0], [batch, 1, hidden]), [batch, hidden]);
}
