import { GradientError } from '../graph/gradient.ts';
import type { Box, Op } from '../graph/op.ts';
import { type Node, ShapeError, type Tensor, type TensorType, trace } from '../graph/tensor.ts';
import { attentionForward, attentionKeyGradient, attentionQueryGradient } from '../kernels/attention.ts';

export interface AttentionAttrs {
  heads: number;
  scale: number;
  causal: boolean;
}

export interface AttentionSizes {
  batch: number;
  tq: number;
  tk: number;
  heads: number;
  kvHeads: number;
  /** Query heads that share a key head. */
  group: number;
  /** Elements of a head. */
  d: number;
  /** Elements of a token of q, of k. */
  qWidth: number;
  kWidth: number;
  /** Leading sizes [B|1, H|1, Tq|1] of the bias, null without one. */
  bias: readonly [number, number, number] | null;
}

/** Widest head that the kernels hold in registers. */
const MAX_HEAD = 128;

function sizes(
  q: TensorType,
  k: TensorType,
  v: TensorType,
  bias: TensorType | undefined,
  { heads, causal }: AttentionAttrs,
): AttentionSizes {
  const [batch, tq, qWidth] = q.shape;
  const [, tk, kWidth] = k.shape;
  const d = qWidth / heads;
  const kvHeads = kWidth / d;
  const fits =
    q.shape.length === 3 &&
    k.shape.length === 3 &&
    `${k.shape}` === `${v.shape}` &&
    k.shape[0] === batch &&
    Number.isInteger(d) &&
    d <= MAX_HEAD &&
    Number.isInteger(heads / kvHeads) &&
    (!causal || tk >= tq);
  if (!fits)
    throw new ShapeError(
      `attention: q [${q.shape}], k [${k.shape}], v [${v.shape}] do not fit ${heads} heads (of at most ${MAX_HEAD} elements, no more causal queries than keys).`,
    );
  if (bias) {
    const [bb, bh, bq, bk] = bias.shape;
    const one = (n: number, m: number) => n === 1 || n === m;
    if (bias.shape.length !== 4 || !one(bb, batch) || !one(bh, heads) || !one(bq, tq) || bk !== tk)
      throw new ShapeError(
        `attention: a bias [${bias.shape}] does not broadcast to [${[batch, heads, tq, tk]}].`,
      );
  }
  return {
    batch,
    tq,
    tk,
    heads,
    kvHeads,
    group: heads / kvHeads,
    d,
    qWidth,
    kWidth,
    bias: bias ? [bias.shape[0], bias.shape[1], bias.shape[2]] : null,
  };
}

/** Products of [Tq, D] and [D, Tk], `count` of them. */
const flopsOf = (count: number, s: AttentionSizes, causal: boolean) =>
  (count * 2 * s.batch * s.heads * s.tq * s.tk * s.d) / (causal ? 2 : 1);

/** Inputs q, k, v, perhaps a bias; outputs out and the log-sum of each row of scores [B, H, Tq]. */
const attentionOp: Op<AttentionAttrs> = {
  name: 'attention',
  infer: ([q, k, v, bias], a) => {
    const s = sizes(q, k, v, bias, a);
    return [
      { shape: q.shape, dtype: 'f32' },
      { shape: [s.batch, s.heads, s.tq], dtype: 'f32' },
    ];
  },
  gradient: ({ inputs, outputs: [out, logSum], dys: [dout], attrs, wants }) => {
    const [q, k, v, ...bias] = inputs;
    if (wants[3])
      throw new GradientError(
        'attention gives its bias no gradient. Train something else than the bias, or compute the scores with matmul and softmax.',
      );
    const stats = trace(statsOp, [dout!, out, logSum], attrs)[0];
    const all = [q, k, v, dout!, stats, ...bias];
    const dq = wants[0] ? trace(queryGradientOp, all, attrs)[0] : null;
    const [dk, dv] = wants[1] || wants[2] ? trace(keyGradientOp, all, attrs) : [null, null];
    return [dq, wants[1] ? dk : null, wants[2] ? dv : null, null].slice(0, inputs.length);
  },
  narrow: ({ inputs: [q, k, , bias], attrs }, box) => {
    const [first, count] = [box.begin[1], box.shape[1]];
    // Causal queries stay the last ones, which is where their keys end.
    if (box.shape[2] !== q.shape[2] || (attrs.causal && first + count !== q.shape[1])) return null;
    const keys: Box = { begin: [box.begin[0], 0, 0], shape: [box.shape[0], k.shape[1], k.shape[2]] };
    const inputs: (Box | null)[] = [box, keys, keys];
    if (bias) inputs.push(biasPart(bias, box));
    return { inputs, attrs };
  },
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, a) => attentionForward(w, sizes(w.inputs[0], w.inputs[1], w.inputs[2], w.inputs[3], a), a),
    flops: ({ inputs: [q, k, v, bias], attrs: a }) => flopsOf(2, sizes(q, k, v, bias, a), a.causal),
  },
};

export const isAttention = (node: Node): boolean => node.op === attentionOp;

/** The part of a bias [B|1, H|1, Tq|1, Tk] that some samples' queries read. */
function biasPart(bias: TensorType, box: Box): Box {
  const [samples, heads, queries, keys] = bias.shape;
  const batch = samples === 1 ? [0, 1] : [box.begin[0], box.shape[0]];
  const rows = queries === 1 ? [0, 1] : [box.begin[1], box.shape[1]];
  return { begin: [batch[0], 0, rows[0], 0], shape: [batch[1], heads, rows[1], keys] };
}

/**
 * What both gradient kernels need of a row of scores, side by side in one binding: its log-sum and sum(dout out),
 * [B, H, Tq, 2].
 */
const statsOp: Op<AttentionAttrs> = {
  name: 'attentionStats',
  infer: ([dout], { heads }) => [{ shape: [dout.shape[0], heads, dout.shape[1], 2], dtype: 'f32' }],
  lower: {
    kind: 'point',
    body: (w, { heads }) => {
      const [, t, width] = w.inputs[0].shape;
      const d = width / heads;
      return `
  let row = i / 2u;
  var value = 0.0;
  if (i % 2u == 0u) {
    value = ${w.read(2, 'row')};
  } else {
    let base = (row / ${heads * t}u * ${t}u + row % ${t}u) * ${width}u + row / ${t}u % ${heads}u * ${d}u;
    for (var e = 0u; e < ${d}u; e++) { value += ${w.read(0, 'base + e')} * ${w.read(1, 'base + e')}; }
  }`;
    },
  },
};

const queryGradientOp: Op<AttentionAttrs> = {
  name: 'attentionQueryGrad',
  infer: ([q]) => [{ shape: q.shape, dtype: 'f32' }],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, a) =>
      attentionQueryGradient(w, sizes(w.inputs[0], w.inputs[1], w.inputs[2], w.inputs[5], a), a),
    flops: ({ inputs: [q, k, v, , , bias], attrs: a }) => flopsOf(3, sizes(q, k, v, bias, a), a.causal),
  },
};

const keyGradientOp: Op<AttentionAttrs> = {
  name: 'attentionKeyGrad',
  infer: ([, k, v]) => [
    { shape: k.shape, dtype: 'f32' },
    { shape: v.shape, dtype: 'f32' },
  ],
  lower: {
    kind: 'kernels',
    // Bindings are scarce: the two outputs and up to six inputs leave no room for what would be fused.
    fuses: false,
    emit: (w, a) => attentionKeyGradient(w, sizes(w.inputs[0], w.inputs[1], w.inputs[2], w.inputs[5], a), a),
    flops: ({ inputs: [q, k, v, , , bias], attrs: a }) => flopsOf(4, sizes(q, k, v, bias, a), a.causal),
  },
};

export interface AttentionOptions {
  heads: number;
  /** Factor of the scores before the softmax; 1/sqrt(D) by default. */
  scale?: number;
  /** Query i sees keys up to i + Tk - Tq. */
  causal?: boolean;
  /** Added to the scaled scores, broadcast: [B|1, H|1, Tq|1, Tk]. It has no gradient; masks are large negative numbers. */
  bias?: Tensor | null;
}

/**
 * softmax(q kᵀ scale + bias) v for each head. q [B, Tq, H D], k, v [B, Tk, Hkv D] as linear layers give them,
 * D ≤ 128; H / Hkv neighbouring query heads share a key head. Result [B, Tq, H D].
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, scale, causal = false, bias }: AttentionOptions,
): Tensor {
  const attrs = { heads, scale: scale ?? 1 / Math.sqrt(q.shape[2] / heads), causal };
  return trace(attentionOp, bias ? [q, k, v, bias] : [q, k, v], attrs)[0];
}
