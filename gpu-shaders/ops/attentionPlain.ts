import { constant } from '../graph/leaves.ts';
import { rewrite } from '../graph/rewrite.ts';
import type { Tensor } from '../graph/tensor.ts';
import { type AttentionAttrs, isAttention } from './attention.ts';
import { add, mul } from './elementwise.ts';
import { transpose } from './layout.ts';
import { matmul } from './matmul.ts';
import { reshape } from './reshape.ts';
import { softmax } from './softmax.ts';

/**
 * Attention by products and a softmax, its scores [B, H, Tq, Tk] in memory: what the streaming kernels are measured
 * and tested against. Shapes as for `attention`.
 */
export function plainAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, scale, causal }: AttentionAttrs,
  bias?: Tensor,
): Tensor {
  const [batch, tq, width] = q.shape;
  const tk = k.shape[1];
  const d = width / heads;
  const kvHeads = k.shape[2] / d;
  // Query heads that share a key head are neighbours: their rows are rows of one product.
  const rows = (heads / kvHeads) * tq;
  const split = (x: Tensor, t: number, h: number) => transpose(reshape(x, [batch, t, h, d]), [0, 2, 1, 3]);
  const queries = reshape(split(q, tq, heads), [batch, kvHeads, rows, d]);
  const products = mul(matmul(queries, split(k, tk, kvHeads), { tb: true }), scale);
  let scores = reshape(products, [batch, heads, tq, tk]);
  if (bias) scores = add(scores, bias);
  if (causal) scores = add(scores, future(tq, tk));
  const weights = reshape(softmax(scores), [batch, kvHeads, rows, tk]);
  const out = reshape(matmul(weights, split(v, tk, kvHeads)), [batch, heads, tq, d]);
  return reshape(transpose(out, [0, 2, 1, 3]), [batch, tq, width]);
}

/** Hides keys after a query's own: [1, 1, Tq, Tk]. */
function future(tq: number, tk: number): Tensor {
  const hidden = Float32Array.from({ length: tq * tk }, (_, i) =>
    (i % tk) - (tk - tq) > Math.floor(i / tk) ? -1e30 : 0,
  );
  return constant(hidden, [1, 1, tq, tk]);
}

/** The same outputs with every attention written out as products. */
export function withPlainAttention(outputs: readonly Tensor[]): Tensor[] {
  return rewrite(outputs, (node, [q, k, v, bias]) =>
    isAttention(node) ? [plainAttention(q, k, v, node.attrs, bias)] : null,
  );
}
