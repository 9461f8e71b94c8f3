import { type Tensor, tanh } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, ConfigError, linearHead } from './backbone.ts';
import { type BertConfig, bertBlockOf, bertDiskName, bertPresets, encode, readBert } from './bertEncoder.ts';
import { firstToken, textInputs, tokenSize, vocabularyLogits, withoutLearnt } from './text.ts';

/**
 * BERT (Devlin et al., 2019, arxiv.org/abs/1810.04805), MiniLM among its checkpoints, as transformers'
 * `BertForSequenceClassification` and `BertForMaskedLM` compute it.
 */
export const bert: Backbone<BertConfig> = {
  family: 'bert',
  title: 'BERT',
  accepts: (config) => config.model_type === 'bert',
  configure: (config) => readBert(config, 0),
  basePrefix: 'bert.',
  diskName: bertDiskName,
  modality: 'text',
  inputs: (_, size) => textInputs(size, 'types'),

  forward(root, inputs, config) {
    const scope = root.child('bert');
    const x = encode(scope, inputs, config);
    const last = withoutLearnt(x, inputs.ids.shape[1]);
    // Files of masked language models have no pooler, and nothing else reads it.
    const features = scope.has('pooler.dense.weight') ? pooled(scope, x) : undefined;
    return {
      last,
      get features() {
        if (features) return features;
        throw new ConfigError(
          'The checkpoint has no pooler (bert.pooler.dense), which the classification head reads: it was saved from a language model. Choose a checkpoint of the whole BertModel.',
        );
      },
    };
  },

  languageHead(root, { last }, { eps, activation }) {
    const transform = root.child('cls').child('predictions').child('transform');
    const x = transform.layerNorm(activation(transform.linear(last, 'dense')), 'LayerNorm', eps);
    return vocabularyLogits(root, x, {
      own: 'cls.predictions.decoder.weight',
      tied: 'bert.embeddings.word_embeddings.weight',
      bias: ['cls.predictions.bias', 'cls.predictions.decoder.bias'],
    });
  },

  featureSize: (config) => config.hidden,
  blocks: (config) => config.blocks,
  blockOf: (path, { blocks }) => bertBlockOf(path, blocks),
  head: () => linearHead('classifier'),
  taskClass: 'BertForSequenceClassification',
  languageClass: 'BertForMaskedLM',
  presets: ({ blocks }) => bertPresets('bert', blocks),
  size: ({ most }) => tokenSize(most),
  defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
};

function pooled(scope: Scope, x: Tensor): Tensor {
  return tanh(scope.child('pooler').linear(firstToken(x), 'dense'));
}
