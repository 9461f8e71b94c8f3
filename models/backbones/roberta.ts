import { gelu } from '../../gpu-shaders/index.ts';
import type { Backbone } from './backbone.ts';
import { type BertConfig, bertBlockOf, bertPresets, encode, readBert } from './bertEncoder.ts';
import { firstToken, readId, textInputs, tokenSize, vocabularyLogits, withoutLearnt } from './text.ts';

/**
 * RoBERTa (Liu et al., 2019, arxiv.org/abs/1907.11692), CodeBERT among its checkpoints, as transformers'
 * `RobertaForSequenceClassification` and `RobertaForMaskedLM` compute it: BERT whose positions begin behind the number
 * of the padding token, without segments and without a pooler.
 */
export const roberta = family('roberta', 'RoBERTa', 'RobertaForSequenceClassification');

/** XLM-R (Conneau et al., 2020, arxiv.org/abs/1911.02116): RoBERTa for a hundred languages. */
export const xlmRoberta = family('xlm-roberta', 'XLM-RoBERTa', 'XLMRobertaForSequenceClassification');

function family(name: string, title: string, taskClass: string): Backbone<BertConfig> {
  return {
    family: name,
    title,
    accepts: (config) => config.model_type === name,
    configure: (config) => readBert(config, readId(config, 'pad_token_id', 1) + 1),
    basePrefix: 'roberta.',
    diskName: (path) => path,
    modality: 'text',
    inputs: (_, size) => textInputs(size),

    forward(root, { ids, mask }, config) {
      const x = encode(root.child('roberta'), { ids, mask }, config);
      return { features: firstToken(x), last: withoutLearnt(x, ids.shape[1]) };
    },

    languageHead(root, { last }, { eps }) {
      const head = root.child('lm_head');
      const x = head.layerNorm(gelu(head.linear(last, 'dense')), 'layer_norm', eps);
      return vocabularyLogits(root, x, {
        own: 'lm_head.decoder.weight',
        tied: 'roberta.embeddings.word_embeddings.weight',
        bias: ['lm_head.bias', 'lm_head.decoder.bias'],
      });
    },

    featureSize: (config) => config.hidden,
    blocks: (config) => config.blocks,
    blockOf: (path, { blocks }) => bertBlockOf(path, blocks),
    head: ({ hidden }) => ({
      path: 'classifier.out_proj',
      bias: true,
      hidden: [{ path: 'classifier.dense', width: hidden, activation: 'tanh' }],
    }),
    taskClass,
    languageClass: taskClass.replace('SequenceClassification', 'MaskedLM'),
    presets: ({ blocks }) => bertPresets('roberta', blocks),
    size: ({ most }) => tokenSize(most),
    defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
  };
}
