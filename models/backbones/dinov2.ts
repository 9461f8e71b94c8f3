import { add, concat, mean, mul, reshape, silu, slice, type Tensor } from '../../gpu-shaders/index.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { Scope } from '../scope.ts';
import { type Backbone, linearHead, pictureInput } from './backbone.ts';
import { resamplePositions } from './positions.ts';
import { readBoolean, readNumber } from './readConfig.ts';
import {
  classToken,
  gatedMlp,
  mlp,
  patchedSides,
  patchGrid,
  patchTokens,
  prepend,
  readTransformer,
  selfAttention,
  type TransformerConfig,
  transformerPresets,
} from './visionTransformer.ts';

export interface Dinov2Config extends TransformerConfig {
  /** SwiGLU in place of the two-layer perceptron (ViT-g). */
  gated: boolean;
  /** Register tokens between the class token and the patches. */
  registers: number;
}

/** DINOv2 (Oquab et al., 2024, arxiv.org/abs/2304.07193) as transformers computes it. */
export const dinov2 = family('dinov2', 'DINOv2', 'Dinov2ForImageClassification', () => 0);

/** DINOv2 with register tokens (Darcet et al., 2024, arxiv.org/abs/2309.16588). */
export const dinov2WithRegisters = family(
  'dinov2_with_registers',
  'DINOv2 with registers',
  'Dinov2WithRegistersForImageClassification',
  (config) => readNumber(config, 'num_register_tokens', 4),
);

function family(
  name: string,
  title: string,
  taskClass: string,
  registersOf: (config: JsonObject) => number,
): Backbone<Dinov2Config> {
  return {
    family: name,
    title,
    accepts: (config) => config.model_type === name,
    configure: (config) => ({
      ...readTransformer(config, { eps: 1e-6, patch: name === 'dinov2' ? 14 : 16 }),
      gated: readBoolean(config, 'use_swiglu_ffn', false),
      registers: registersOf(config),
    }),
    basePrefix: `${name}.`,

    modality: 'image',
    inputs: (_, side) => pictureInput(side),

    diskName: (path) =>
      path
        .replace('.attention.q_proj', '.attention.attention.query')
        .replace('.attention.k_proj', '.attention.attention.key')
        .replace('.attention.v_proj', '.attention.attention.value')
        .replace('.attention.o_proj', '.attention.output.dense')
        .replace(/\.mlp\.(gate_proj|up_proj)/, '.mlp.weights_in')
        .replace('.mlp.down_proj', '.mlp.weights_out'),
    diskPart(path) {
      const match = /\.mlp\.(gate_proj|up_proj)\b/.exec(path);
      return match ? { part: match[1] === 'gate_proj' ? 0 : 1, of: 2 } : undefined;
    },

    forward(root, { pixels }, config) {
      const scope = root.child(name);
      let x = embed(scope.child('embeddings'), pixels, config);
      for (let i = 0; i < config.blocks; i++)
        x = block(scope.child('encoder').child('layer').child(i), x, config);
      const last = scope.layerNorm(x, 'layernorm', config.eps);
      const { height, width } = patchGrid(pixels.shape[2], pixels.shape[3], config.patch);
      return { features: concat([classToken(last), meanPatch(last, height * width)], 1), last };
    },

    featureSize: (config) => 2 * config.hidden,
    blocks: (config) => config.blocks,
    blockOf(path, { blocks }) {
      const match = /\.layer\.(\d+)\./.exec(path);
      return match ? Number(match[1]) : path.includes('.embeddings.') ? -1 : blocks;
    },
    head: () => linearHead('classifier'),
    taskClass,
    presets: ({ blocks, gated }) =>
      transformerPresets(
        blocks,
        (i) => `${name}.encoder.layer.${i}`,
        gated ? ['gate_proj', 'up_proj', 'down_proj'] : ['fc1', 'fc2'],
      ),
    size: patchedSides,
    defaults: () => ({ lr: 1e-3, r: 8, lora_alpha: 16, schedule: 'cosine' }),
  };
}

/** The grid of learnt positions is square; with registers it is resampled with antialiasing, without them without. */
function embed(scope: Scope, pixels: Tensor, config: Dinov2Config): Tensor {
  const { registers, patch } = config;
  const learnt = [scope.weight('cls_token')];
  if (registers) learnt.push(scope.weight('register_tokens'));
  const tokens = prepend(learnt, patchTokens(scope, pixels, config));
  const positions = scope.weight('position_embeddings');
  const [, count, hidden] = positions.shape;
  const side = Math.floor(Math.sqrt(count - 1));
  const to = patchGrid(pixels.shape[2], pixels.shape[3], patch);
  if (!registers && to.height === side && to.width === side)
    return scope.tokens(add(tokens, reshape(positions, [count, hidden])));
  const from = { height: side, width: side };
  const placed = resamplePositions(positions, { from, to, antialias: registers > 0, unplaced: registers });
  return scope.tokens(add(tokens, placed));
}

function block(scope: Scope, x: Tensor, { heads, eps, activation, gated }: Dinov2Config): Tensor {
  const h = scope.residual(x, 'attention', 'attention', () => {
    const attended = selfAttention(scope.child('attention'), scope.layerNorm(x, 'norm1', eps), heads);
    return layerScale(scope.child('layer_scale1'), attended);
  });
  return scope.residual(h, 'mlp', 'mlp', () => {
    const normed = scope.layerNorm(h, 'norm2', eps);
    const inner = scope.child('mlp');
    const y = gated ? gatedMlp(inner, normed, silu) : mlp(inner, normed, activation);
    return layerScale(scope.child('layer_scale2'), y);
  });
}

function layerScale(scope: Scope, x: Tensor): Tensor {
  return mul(x, scope.weight('lambda1'));
}

/** Mean of the patch tokens, which are the last ones of x [B, T, D]: [B, D]. */
function meanPatch(x: Tensor, patches: number): Tensor {
  const [batch, tokens, hidden] = x.shape;
  return mean(slice(x, [0, tokens - patches, 0], [batch, patches, hidden]), [1]);
}
