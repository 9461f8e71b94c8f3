import {
  add,
  attention,
  broadcastTo,
  concat,
  crossEntropy,
  gelu,
  input,
  layerNorm,
  linear,
  matmul,
  mean,
  mul,
  parameter,
  reshape,
  slice,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { Spec } from './model.ts';

const EPS = 1e-5;

/**
 * Traces the encoder on one batch. Matrices are parameters [out, in], as checkpoints store them; with `half` the
 * frozen ones are stored in f16.
 */
export function traceEncoder(s: Spec, half = false): { logits: Tensor; loss: Tensor } {
  const { batch, tokens, dim, mlp, rank } = s;
  const weight = (name: string, shape: number[]) =>
    parameter(name, shape, { dtype: half && isMatrix(shape) ? 'f16' : 'f32' });
  const trained = (name: string, shape: number[]) => parameter(name, shape, { trainable: true });
  const dense = (x: Tensor, name: string, from: number, to: number) =>
    linear(x, weight(`${name}.weight`, [to, from]), weight(`${name}.bias`, [to]));
  const norm = (x: Tensor, name: string) =>
    layerNorm(x, weight(`${name}.weight`, [dim]), weight(`${name}.bias`, [dim]), EPS);
  const adapted = (x: Tensor, name: string, i: number) => {
    if (i < s.adaptedFrom) return dense(x, name, dim, dim);
    const inner = matmul(x, trained(`${name}.a`, [rank, dim]), { tb: true });
    const update = matmul(inner, trained(`${name}.b`, [dim, rank]), { tb: true });
    return add(dense(x, name, dim, dim), mul(update, s.scale));
  };
  const attend = (x: Tensor, i: number) => {
    const [q, v] = ['q', 'v'].map((n) => adapted(x, `${i}.${n}`, i));
    const k = dense(x, `${i}.k`, dim, dim);
    return dense(attention(q, k, v, { heads: s.heads }), `${i}.o`, dim, dim);
  };
  const perceptron = (x: Tensor, i: number) =>
    dense(gelu(dense(x, `${i}.up`, dim, mlp)), `${i}.down`, mlp, dim);

  let h: Tensor;
  if (s.patch) {
    const x = input('x', [batch, tokens - 1, s.patch], { sample: true });
    const cls = broadcastTo(weight('cls', [1, 1, dim]), [batch, 1, dim]);
    h = add(concat([cls, dense(x, 'embed', s.patch, dim)], 1), weight('pos', [1, tokens, dim]));
  } else h = norm(input('x', [batch, tokens, dim], { sample: true }), 'norm');
  for (let i = 0; i < s.depth; i++) {
    if (s.preNorm) {
      h = add(h, attend(norm(h, `${i}.norm1`), i));
      h = add(h, perceptron(norm(h, `${i}.norm2`), i));
    } else {
      h = norm(add(h, attend(h, i)), `${i}.norm1`);
      h = norm(add(h, perceptron(h, i)), `${i}.norm2`);
    }
  }
  const first = reshape(slice(h, [0, 0, 0], [batch, 1, dim]), [batch, dim]);
  const features = s.patch ? norm(first, 'norm') : first;
  const logits = linear(
    features,
    trained('head.weight', [s.classes, dim]),
    trained('head.bias', [s.classes]),
  );
  const labels = input('labels', [batch], { dtype: 'u32' });
  return { logits, loss: mean(crossEntropy(logits, labels)) };
}

/** Frozen tensors that may be stored in half precision. */
export const isMatrix = (shape: readonly number[]): boolean => shape.length === 2;
