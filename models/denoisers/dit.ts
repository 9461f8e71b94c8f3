import {
  add,
  constant,
  layerNorm,
  mul,
  nchwToNhwc,
  reshape,
  silu,
  type Tensor,
  transpose,
} from '../../gpu-shaders/index.ts';
import { ConfigError } from '../backbones/backbone.ts';
import { readNumber } from '../backbones/readConfig.ts';
import type { Scope } from '../scope.ts';
import type { Denoiser } from './denoiser.ts';
import { attend, chunks, embedTime, type FeedForward, feedForward } from './parts.ts';
import { readOptional, requireOptions } from './read.ts';

export interface DitConfig {
  heads: number;
  width: number;
  blocks: number;
  channels: number;
  out: number;
  side: number;
  patch: number;
  classes: number;
  activation: FeedForward;
  /** Of the norm before the perceptron. */
  eps: number;
}

/** Of the norms whose scale and shift come from the condition. */
const MODULATED_EPS = 1e-6;
/** Sines and cosines that the time is turned into. */
const TIME_WIDTH = 256;

/** Diffusion transformer with adaLN-Zero blocks (Peebles & Xie, 2023), as diffusers' `DiTTransformer2DModel`. */
export const dit: Denoiser<DitConfig> = {
  className: 'DiTTransformer2DModel',
  title: 'DiT',

  configure(config) {
    requireOptions(config, {
      norm_type: ['ada_norm_zero'],
      activation_fn: ['gelu-approximate', 'gelu', 'geglu'],
    });
    const heads = readNumber(config, 'num_attention_heads', 16);
    const channels = readNumber(config, 'in_channels', 4);
    const read = {
      heads,
      width: heads * readNumber(config, 'attention_head_dim', 72),
      blocks: readNumber(config, 'num_layers', 28),
      channels,
      out: readOptional(config, 'out_channels', channels),
      side: readNumber(config, 'sample_size', 32),
      patch: readNumber(config, 'patch_size', 2),
      classes: readNumber(config, 'num_embeds_ada_norm', 1000),
      activation: (config.activation_fn ?? 'gelu-approximate') as FeedForward,
      eps: readNumber(config, 'norm_eps', 1e-5),
    };
    if (read.side % read.patch)
      throw new ConfigError(
        `config.json has sample_size ${read.side}, which patches of ${read.patch} do not tile.`,
      );
    return read;
  },

  // The row behind the last class is what dropped labels became in training.
  conditions: ({ classes }) => ({ classes: classes + 1, nullClass: classes, context: 0 }),
  latents: ({ channels, side }) => ({ channels, height: side, width: side }),
  multiple: ({ patch }) => patch,

  forward(scope, { latents, t, label }, config) {
    const { patch, blocks } = config;
    const [batch, , height, width] = latents.shape;
    const grid = [height / patch, width / patch] as const;
    const maps = scope.child('pos_embed').conv2d(nchwToNhwc(latents), 'proj', { stride: patch });
    const positions = constant(gridPositions(grid, config), [1, grid[0] * grid[1], config.width]);
    let x = add(reshape(maps, [batch, grid[0] * grid[1], config.width]), positions);
    const blockScope = (i: number) => scope.child('transformer_blocks').child(i);
    for (let i = 0; i < blocks; i++) x = block(blockScope(i), x, t, label!, config);

    const condition = embed(blockScope(0), t, label!);
    const [shift, scale] = chunks(perToken(scope.linear(silu(condition), 'proj_out_1')), 2);
    const y = modulate(layerNorm(x, null, null, MODULATED_EPS), shift, scale);
    return unpatch(scope.linear(y, 'proj_out_2'), grid, config);
  },

  blocks: ({ blocks }) => blocks,
  blockOf(path, { blocks }) {
    const found = /^transformer_blocks\.(\d+)\./.exec(path);
    if (found) return Number(found[1]);
    return path.startsWith('pos_embed') ? -1 : blocks;
  },
  presets: () => [
    { id: 'attention', label: 'Attention', targets: ['to_q', 'to_k', 'to_v', 'to_out.0'] },
    { id: 'query-value', label: 'Query and value', targets: ['to_q', 'to_v'] },
    {
      id: 'attention-mlp',
      label: 'Attention and perceptron',
      targets: ['to_q', 'to_k', 'to_v', 'to_out.0', 'ff.net.0.proj', 'ff.net.2'],
    },
    { id: 'all-linear', label: 'All linear layers', targets: ['all-linear'] },
  ],
};

/** [B, D] as one row that every token reads. */
const perToken = (x: Tensor): Tensor => reshape(x, [x.shape[0], 1, x.shape[1]]);
const modulate = (x: Tensor, shift: Tensor, scale: Tensor): Tensor => add(mul(x, add(scale, 1)), shift);

/** Each block has embedders of its own: time and label, [B, D]. */
function embed(block: Scope, t: Tensor, label: Tensor): Tensor {
  const scope = block.child('norm1.emb');
  const time = embedTime(scope.child('timestep_embedder'), t, TIME_WIDTH, { cosinesFirst: true, shift: 1 });
  return add(time, scope.child('class_embedder').embedding(label, 'embedding_table'));
}

function block(scope: Scope, x: Tensor, t: Tensor, label: Tensor, config: DitConfig): Tensor {
  const condition = scope.child('norm1').linear(silu(embed(scope, t, label)), 'linear');
  const [shift, scale, gate, shiftMlp, scaleMlp, gateMlp] = chunks(perToken(condition), 6);
  const attended = scope.residual(x, 'attn1', 'attention', () => {
    const even = modulate(layerNorm(x, null, null, MODULATED_EPS), shift, scale);
    return mul(attend(scope.child('attn1'), even, { heads: config.heads }), gate);
  });
  return scope.residual(attended, 'ff', 'mlp', () => {
    const even = scope.has('norm3.weight')
      ? scope.layerNorm(attended, 'norm3', config.eps)
      : layerNorm(attended, null, null, config.eps);
    return mul(
      feedForward(scope.child('ff'), modulate(even, shiftMlp, scaleMlp), config.activation),
      gateMlp,
    );
  });
}

/** Tokens [B, h w, p p C] as a picture [B, C, h p, w p]. */
function unpatch(x: Tensor, [h, w]: readonly [number, number], { patch: p, out }: DitConfig): Tensor {
  const batch = x.shape[0];
  const turned = transpose(reshape(x, [batch, h, w, p, p, out]), [0, 5, 1, 3, 2, 4]);
  return reshape(turned, [batch, out, h * p, w * p]);
}

/**
 * Fixed positions [h w, D]: sines then cosines of the column in the first half, of the row in the second. A grid of
 * another size than the native one spans the same range.
 */
function gridPositions([h, w]: readonly [number, number], { width, side, patch }: DitConfig): Float32Array {
  const quarter = width / 4;
  const native = side / patch;
  const table = new Float32Array(h * w * width);
  for (let token = 0; token < h * w; token++) {
    const places = [(token % w) * (native / w), Math.floor(token / w) * (native / h)];
    places.forEach((place, half) => {
      for (let i = 0; i < quarter; i++) {
        const angle = place / 10000 ** (i / quarter);
        const at = token * width + 2 * half * quarter + i;
        table[at] = Math.sin(angle);
        table[at + quarter] = Math.cos(angle);
      }
    });
  }
  return table;
}
