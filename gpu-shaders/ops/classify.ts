import type { KernelText } from '../compile/writer.ts';
import type { Op } from '../graph/op.ts';
import { ShapeError, sizeOf, type Tensor, trace } from '../graph/tensor.ts';
import { flatKernel, rowsOf } from '../kernels/rows.ts';
import { mul } from './elementwise.ts';
import { literal } from './map.ts';

interface CrossEntropyAttrs {
  smoothing: number;
}

/** Labels may be i32 (with -100 and the like for "no label") or u32: both compare as u32. */
const label = (text: string) => `u32(${text})`;

/**
 * Inputs logits [..., C], labels [...]; outputs the loss and the log-sum of the row. With smoothing s:
 * loss = lse - (1 - s) logit[label] - s mean(logits); zero where the label is outside [0, C).
 */
const crossEntropyOp: Op<CrossEntropyAttrs> = {
  name: 'crossEntropy',
  infer: ([logits, labels]) => {
    const shape = logits.shape.slice(0, -1);
    if (sizeOf(labels.shape) !== sizeOf(shape) || !/[iu]32/.test(labels.dtype))
      throw new ShapeError(
        `crossEntropy: logits [${logits.shape}] need i32 or u32 labels [${shape}], not ${labels.dtype} [${labels.shape}].`,
      );
    return [
      { shape, dtype: 'f32' },
      { shape, dtype: 'f32' },
    ];
  },
  gradient: ({ inputs: [logits, labels], outputs: [, lse], dys, attrs }) => [
    trace(crossEntropyGradOp, [logits, labels, lse, dys[0]!], attrs)[0],
    null,
  ],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, { smoothing }) => {
      const { rows, width } = rowsOf(w.inputs[0]);
      // Few classes, few rows: nothing to share out.
      const body = (k: KernelText) => {
        const x = k.tensor(w.inputs[0]);
        return `  let row = i;
  let base = row * ${width}u;
  var top = -3.4e38;
  for (var c = 0u; c < ${width}u; c++) { top = max(top, ${x.at('base + c')}); }
  var sum = 0.0;
  var total = 0.0;
  for (var c = 0u; c < ${width}u; c++) {
    let v = ${x.at('base + c')};
    sum += exp(max(v - top, -87.0));
    total += v;
  }
  let lse = top + log(sum);
  ${w.reads(1) ? k.tensor(w.outputs[1], { writes: true }).set('row', 'lse') : ''}
  let label = ${label(k.tensor(w.inputs[1]).at('row'))};
  var loss = 0.0;
  if (label < ${width}u) {
    loss = lse - ${literal(1 - smoothing)} * ${x.at('base + label')} - ${literal(smoothing / width)} * total;
  }
  ${k.finish('row', 'loss')}`;
      };
      flatKernel(w, 'rows', rows, body, 32);
    },
  },
};

/** dlogits = dloss (softmax - (1 - s) onehot - s / C), zero for rows without a label. */
const crossEntropyGradOp: Op<CrossEntropyAttrs> = {
  name: 'crossEntropyGrad',
  infer: ([logits]) => [{ shape: logits.shape, dtype: 'f32' }],
  lower: {
    kind: 'point',
    body: (w, { smoothing }) => {
      const classes = w.inputs[0].shape.at(-1)!;
      return `  let row = i / ${classes}u;
  let label = ${label(w.read(1, 'row'))};
  var value = 0.0;
  if (label < ${classes}u) {
    let p = exp(clamp(${w.read(0, 'i')} - ${w.read(2, 'row')}, -87.0, 0.0));
    let hit = select(0.0, ${literal(1 - smoothing)}, i % ${classes}u == label);
    value = ${w.read(3, 'row')} * (p - hit - ${literal(smoothing / classes)});
  }`;
    },
  },
};

export interface CrossEntropyOptions {
  /** A factor for each sample's loss, [B]: 0 for padding. */
  weights?: Tensor;
  /** Share of the target spread evenly over all classes, as in PyTorch. */
  labelSmoothing?: number;
}

/**
 * Loss of each sample, [B], from logits [B, C] and class numbers [B] (i32 or u32; any leading axes may stand for
 * B). A label outside [0, C) or a weight of 0 gives no loss and no gradient.
 */
export function crossEntropy(
  logits: Tensor,
  labels: Tensor,
  { weights, labelSmoothing = 0 }: CrossEntropyOptions = {},
): Tensor {
  const loss = trace(crossEntropyOp, [logits, labels], { smoothing: labelSmoothing })[0];
  return weights ? mul(loss, weights) : loss;
}

const argmaxOp: Op = {
  name: 'argmax',
  infer: ([x]) => [{ shape: x.shape.slice(0, -1), dtype: 'u32' }],
  lower: {
    kind: 'point',
    body: (w) => {
      const { width } = rowsOf(w.inputs[0]);
      return `  let base = i * ${width}u;
  var value = 0u;
  var top = ${w.read(0, 'base')};
  for (var c = 1u; c < ${width}u; c++) {
    let v = ${w.read(0, 'base + c')};
    if (v > top) { top = v; value = c; }
  }`;
    },
  },
};

/** Place of the largest value along the last axis (the first of equals), u32. */
export const argmax = (x: Tensor): Tensor => trace(argmaxOp, [x], undefined)[0];

const sameLabelOp: Op = {
  name: 'sameLabel',
  infer: ([a]) => [{ shape: a.shape, dtype: 'f32' }],
  lower: { kind: 'map', expr: ([a, b]) => `select(0.0, 1.0, ${label(a)} == ${label(b)})` },
};

/** 1 where the largest logit is the label's, else 0: logits [B, C], labels [B] (i32 or u32) to f32 [B]. */
export function accuracyHits(logits: Tensor, labels: Tensor): Tensor {
  return trace(sameLabelOp, [argmax(logits), labels], undefined)[0];
}
