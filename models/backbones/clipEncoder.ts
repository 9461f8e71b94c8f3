import type { Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { ModulePreset } from '../describe.ts';
import type { AttentionOptions, Scope } from '../scope.ts';
import { readObject } from './readConfig.ts';
import { mlp, type TransformerConfig } from './visionTransformer.ts';

/** What the blocks of both towers of CLIP and SigLIP read of a configuration. */
export type EncoderConfig = Pick<TransformerConfig, 'heads' | 'blocks' | 'eps' | 'activation'>;

/**
 * The configuration of one tower, `vision` or `text`, of a model of both: `<tower>_config`, under what older files give
 * as `<tower>_config_dict`. A tower that was saved alone has its options at the top.
 */
export function towerConfig(config: JsonObject, tower: 'vision' | 'text', both: string): JsonObject {
  if (config.model_type !== both) return config;
  return { ...readObject(config, `${tower}_config`), ...readObject(config, `${tower}_config_dict`) };
}

/** The blocks of module `encoder`, x [B, T, D]; the norms lie before attention and perceptron. */
export function encoderBlocks(
  scope: Scope,
  x: Tensor,
  config: EncoderConfig,
  options: Pick<AttentionOptions, 'causal' | 'bias'> = {},
): Tensor {
  const layers = scope.child('encoder').child('layers');
  let h = x;
  for (let i = 0; i < config.blocks; i++) h = block(layers.child(i), h, config, options);
  return h;
}

function block(
  scope: Scope,
  x: Tensor,
  { heads, eps, activation }: EncoderConfig,
  options: Pick<AttentionOptions, 'causal' | 'bias'>,
): Tensor {
  const h = scope.residual(x, 'self_attn', 'attention', () => {
    const attention = scope.child('self_attn');
    const normed = scope.layerNorm(x, 'layer_norm1', eps);
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((name) => attention.linear(normed, name));
    return attention.linear(attention.attention(q, k, v, { heads, ...options }), 'out_proj');
  });
  return scope.residual(h, 'mlp', 'mlp', () =>
    mlp(scope.child('mlp'), scope.layerNorm(h, 'layer_norm2', eps), activation),
  );
}

export function encoderBlockOf(path: string, { blocks }: EncoderConfig): number {
  const match = /\.encoder\.layers\.(\d+)\./.exec(path);
  if (match) return Number(match[1]);
  return /\.(embeddings|pre_layrnorm)\./.test(path) ? -1 : blocks;
}

/** Target modules of a tower under `prefix`, e.g. `vision_model`. */
export function encoderPresets(blocks: number, prefix: string): ModulePreset[] {
  const attention = ['q_proj', 'k_proj', 'v_proj', 'out_proj'];
  const last = Math.ceil(blocks / 3);
  const inLast = Array.from({ length: last }, (_, i) => `${prefix}.encoder.layers.${blocks - last + i}`);
  return [
    { id: 'query-value', label: 'Query and value', targets: ['q_proj', 'v_proj'] },
    { id: 'attention', label: 'Attention', targets: attention },
    { id: 'all-linear', label: 'All linear layers', targets: ['all-linear'] },
    {
      id: 'last-blocks',
      label:
        last === 1 ? 'All linear layers of the last block' : `All linear layers of the last ${last} blocks`,
      targets: inLast.flatMap((path) => [
        ...attention.map((name) => `${path}.self_attn.${name}`),
        `${path}.mlp.fc1`,
        `${path}.mlp.fc2`,
      ]),
    },
  ];
}
