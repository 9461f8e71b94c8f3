import { add, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import type { Inputs } from './backbone.ts';
import { type Activation, readActivation, readNumber, requireOption } from './readConfig.ts';
import { checkHeads, learntPositions, maskOf, paddingBias, textPresets } from './text.ts';

/** What the configurations of BERT and RoBERTa share. */
export interface BertConfig {
  hidden: number;
  blocks: number;
  heads: number;
  eps: number;
  activation: Activation;
  /** Kinds of segments. */
  segments: number;
  /** The position of the first token. */
  from: number;
  /** Most tokens of a text. */
  most: number;
}

/** `from` is the row of the table of positions that the first token takes. */
export function readBert(config: JsonObject, from: number): BertConfig {
  requireOption(config, 'position_embedding_type', 'absolute');
  requireOption(config, 'is_decoder', false);
  requireOption(config, 'add_cross_attention', false);
  const hidden = readNumber(config, 'hidden_size', 768);
  const heads = readNumber(config, 'num_attention_heads', 12);
  checkHeads(hidden, heads);
  return {
    hidden,
    heads,
    from,
    blocks: readNumber(config, 'num_hidden_layers', 12),
    eps: readNumber(config, 'layer_norm_eps', 1e-12),
    activation: readActivation(config, 'hidden_act', 'gelu'),
    segments: readNumber(config, 'type_vocab_size', 2),
    most: readNumber(config, 'max_position_embeddings', 512) - from,
  };
}

/** The embeddings and blocks under `scope`, from which [B, n + T, D] comes out, n learnt tokens in front. */
export function encode(scope: Scope, { ids, mask, types }: Inputs, config: BertConfig): Tensor {
  let x = embed(scope.child('embeddings'), ids, types, config);
  const bias = paddingBias(maskOf(x, mask));
  for (let i = 0; i < config.blocks; i++)
    x = block(scope.child('encoder').child('layer').child(i), x, bias, config);
  return x;
}

/** Learnt tokens stand for words, as in PEFT: they get positions, and all tokens the first segment then. */
function embed(scope: Scope, ids: Tensor, types: Tensor | undefined, config: BertConfig): Tensor {
  const words = scope.tokens(scope.embedding(ids, 'word_embeddings'), 0);
  const tokens = words.shape[1];
  const segment =
    types && tokens === ids.shape[1]
      ? scope.embedding(types, 'token_type_embeddings')
      : learntPositions(scope, 'token_type_embeddings', 1);
  const positions = learntPositions(scope, 'position_embeddings', tokens, config.from);
  return scope.layerNorm(add(add(words, segment), positions), 'LayerNorm', config.eps);
}

function block(scope: Scope, x: Tensor, bias: Tensor, { heads, eps, activation }: BertConfig): Tensor {
  const [attention, output] = [scope.child('attention'), scope.child('output')];
  const attended = scope.residual(x, 'attention', 'attention', () => {
    const self = attention.child('self');
    const [q, k, v] = ['query', 'key', 'value'].map((name) => self.linear(x, name));
    return attention.child('output').linear(self.attention(q, k, v, { heads, bias }), 'dense');
  });
  const h = attention.child('output').layerNorm(attended, 'LayerNorm', eps);
  const y = scope.residual(h, 'output', 'mlp', () =>
    output.linear(activation(scope.child('intermediate').linear(h, 'dense')), 'dense'),
  );
  return output.layerNorm(y, 'LayerNorm', eps);
}

/** Block of a module path. */
export function bertBlockOf(path: string, blocks: number): number {
  const match = /\.layer\.(\d+)\./.exec(path);
  return match ? Number(match[1]) : path.includes('.embeddings.') ? -1 : blocks;
}

/** Names that the very first files gave to norms. */
export const bertDiskName = (path: string): string =>
  path.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta');

export const bertPresets = (base: string, blocks: number) =>
  textPresets(blocks, (i) => `${base}.encoder.layer.${i}`, {
    usual: { label: 'Query and value', targets: ['query', 'value'] },
    attention: [
      'attention.self.query',
      'attention.self.key',
      'attention.self.value',
      'attention.output.dense',
    ],
    mlp: ['intermediate.dense', 'output.dense'],
  });
