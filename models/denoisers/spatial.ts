import { add, reshape, type Tensor } from '../../gpu-shaders/index.ts';
import type { Scope } from '../scope.ts';
import { attend, feedForward, normGroups } from './parts.ts';

export interface SpatialShape {
  heads: number;
  blocks: number;
  groups: number;
  /** Projections as linear layers of tokens instead of 1×1 convolutions of maps. */
  linearProjection: boolean;
}

const NORM_EPS = 1e-6;
const TOKEN_EPS = 1e-5;

/** `Transformer2DModel` of NHWC x: places as tokens that attend to each other and to the condition [B, T, D]. */
export function spatialTransformer(
  scope: Scope,
  x: Tensor,
  context: Tensor | undefined,
  { heads, blocks, groups, linearProjection }: SpatialShape,
): Tensor {
  const [batch, height, width, channels] = x.shape;
  const tokens = [batch, height * width, channels];
  const even = normGroups(scope, x, 'norm', groups, NORM_EPS);
  let y = linearProjection
    ? scope.linear(reshape(even, tokens), 'proj_in')
    : reshape(scope.conv2d(even, 'proj_in'), tokens);
  for (let i = 0; i < blocks; i++)
    y = tokenBlock(scope.child('transformer_blocks').child(i), y, context, heads);
  const back = linearProjection
    ? reshape(scope.linear(y, 'proj_out'), x.shape)
    : scope.conv2d(reshape(y, x.shape), 'proj_out');
  return add(back, x);
}

/** `BasicTransformerBlock`: self-attention, cross-attention, gated perceptron. */
function tokenBlock(scope: Scope, x: Tensor, context: Tensor | undefined, heads: number): Tensor {
  const own = scope.residual(x, 'attn1', 'attention', () =>
    attend(scope.child('attn1'), scope.layerNorm(x, 'norm1', TOKEN_EPS), { heads }),
  );
  const told = scope.residual(own, 'attn2', 'attention', () =>
    attend(scope.child('attn2'), scope.layerNorm(own, 'norm2', TOKEN_EPS), { heads, context }),
  );
  return scope.residual(told, 'ff', 'mlp', () =>
    feedForward(scope.child('ff'), scope.layerNorm(told, 'norm3', TOKEN_EPS), 'geglu'),
  );
}
