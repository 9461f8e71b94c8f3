import type { Op } from '../graph/op.ts';
import { ShapeError, type Tensor, trace } from '../graph/tensor.ts';
import { depthwiseInputGradient, depthwiseKernel } from '../kernels/depthwise.ts';
import {
  inputPlace,
  outputPlace,
  overOutputs,
  overWindow,
  type Window,
  type WindowOptions,
  windowOf,
} from '../kernels/window.ts';
import { transpose } from './layout.ts';
import { matmul } from './matmul.ts';
import { reduceSum } from './reduce.ts';
import { reshape } from './reshape.ts';

/** x [B, H, W, C] to [B, OH, OW, C kh kw]: the window of each output place, columns ordered (c, ky, kx). */
const im2colOp: Op<Window> = {
  name: 'im2col',
  infer: ([x], a) => [{ shape: [a.batch, a.oh, a.ow, x.shape[3] * a.kh * a.kw], dtype: 'f32' }],
  gradient: ({ dys, attrs }) => [trace(col2imOp, [dys[0]!], attrs)[0]],
  lower: {
    kind: 'point',
    body: (w, a) => {
      const columns = w.output.shape[3];
      return `  let column = i % ${columns}u;
  let place = i / ${columns}u;
  let y = place / ${a.ow}u % ${a.oh}u * ${a.sh}u + column / ${a.kw}u % ${a.kh}u * ${a.dh}u - ${a.top}u;
  let x = place % ${a.ow}u * ${a.sw}u + column % ${a.kw}u * ${a.dw}u - ${a.left}u;
  var value = 0.0;
  if (y < ${a.h}u && x < ${a.w}u) {
    value = ${w.read(0, `((place / ${a.oh * a.ow}u * ${a.h}u + y) * ${a.w}u + x) * ${a.c}u + column / ${a.kh * a.kw}u`)};
  }`;
    },
  },
};

const col2imOp: Op<Window> = {
  name: 'col2im',
  infer: (_, a) => [{ shape: [a.batch, a.h, a.w, a.c], dtype: 'f32' }],
  gradient: ({ dys, attrs }) => [trace(im2colOp, [dys[0]!], attrs)[0]],
  lower: {
    kind: 'point',
    body: (w, a) => `${inputPlace(a)}
  var value = 0.0;
${overOutputs(
  a,
  `      value += ${w.read(0, `((b * ${a.oh}u + oy) * ${a.ow}u + ox) * ${a.c * a.kh * a.kw}u + (c * ${a.kh}u + ky) * ${a.kw}u + kx`)};`,
)}`,
  },
};

interface GroupedAttrs extends Window {
  /** Input and output channels of a group, and all output channels. */
  ci: number;
  co: number;
  out: number;
}

/** Inputs x and the weight as [kh, kw, ci, out], so that neighbouring outputs read neighbouring weights. */
const groupedOp: Op<GroupedAttrs> = {
  name: 'groupedConv',
  infer: (_, a) => [{ shape: [a.batch, a.oh, a.ow, a.out], dtype: 'f32' }],
  gradient: ({ inputs: [x, w], dys: [dy], attrs, wants }) => [
    wants[0] ? trace(groupedInputGradOp, [dy!, w], attrs)[0] : null,
    wants[1] ? reduceSum(trace(groupedWeightGradOp, [x, dy!], attrs)[0], [0]) : null,
  ],
  lower: {
    kind: 'point',
    body: (w, a) => `${outputPlace(a, a.out).replace('let c =', 'let o =')}
  let c0 = o / ${a.co}u * ${a.ci}u;
  var value = 0.0;
${overWindow(
  a,
  `      let start = ((b * ${a.h}u + y) * ${a.w}u + x) * ${a.c}u + c0;
      let weight = (ky * ${a.kw}u + kx) * ${a.ci * a.out}u + o;
      ${loop('e', a.ci, (e) => `value += ${w.read(0, `start + ${e}`)} * ${w.read(1, `weight + ${e} * ${a.out}u`)};`)}`,
)}`,
    flops: ({ attrs: a }) => 2 * a.batch * a.oh * a.ow * a.out * a.ci * a.kh * a.kw,
  },
};

/** `use` for `name` from 0 to n, without a loop where n is 1. */
const loop = (name: string, n: number, use: (name: string) => string) =>
  n === 1 ? use('0u') : `for (var ${name} = 0u; ${name} < ${n}u; ${name}++) { ${use(name)} }`;

const groupedInputGradOp: Op<GroupedAttrs> = {
  name: 'groupedConvInputGrad',
  infer: (_, a) => [{ shape: [a.batch, a.h, a.w, a.c], dtype: 'f32' }],
  lower: {
    kind: 'point',
    body: (w, a) => `${inputPlace(a)}
  let o0 = c / ${a.ci}u * ${a.co}u;
  var value = 0.0;
${overOutputs(
  a,
  `      let start = ((b * ${a.oh}u + oy) * ${a.ow}u + ox) * ${a.out}u + o0;
      let weight = ((ky * ${a.kw}u + kx) * ${a.ci}u + c % ${a.ci}u) * ${a.out}u + o0;
      ${loop('e', a.co, (e) => `value += ${w.read(0, `start + ${e}`)} * ${w.read(1, `weight + ${e}`)};`)}`,
)}`,
    flops: ({ attrs: a }) => 2 * a.batch * a.oh * a.ow * a.out * a.ci * a.kh * a.kw,
  },
};

/** The weight gradient of each sample: [B, kh, kw, ci, out]. */
const groupedWeightGradOp: Op<GroupedAttrs> = {
  name: 'groupedConvWeightGrad',
  infer: (_, a) => [{ shape: [a.batch, a.kh, a.kw, a.ci, a.out], dtype: 'f32' }],
  lower: {
    kind: 'point',
    body: (w, a) => `  let o = i % ${a.out}u;
  let c = o / ${a.co}u * ${a.ci}u + i / ${a.out}u % ${a.ci}u;
  let kx = i / ${a.out * a.ci}u % ${a.kw}u;
  let ky = i / ${a.out * a.ci * a.kw}u % ${a.kh}u;
  let b = i / ${a.out * a.ci * a.kw * a.kh}u;
  var value = 0.0;
  for (var oy = 0u; oy < ${a.oh}u; oy++) {
    let y = oy * ${a.sh}u + ky * ${a.dh}u - ${a.top}u;
    if (y >= ${a.h}u) { continue; }
    for (var ox = 0u; ox < ${a.ow}u; ox++) {
      let x = ox * ${a.sw}u + kx * ${a.dw}u - ${a.left}u;
      if (x >= ${a.w}u) { continue; }
      value += ${w.read(0, `((b * ${a.h}u + y) * ${a.w}u + x) * ${a.c}u + c`)} * ${w.read(1, `((b * ${a.oh}u + oy) * ${a.ow}u + ox) * ${a.out}u + o`)};
    }
  }`,
    flops: ({ attrs: a }) => 2 * a.batch * a.oh * a.ow * a.out * a.ci * a.kh * a.kw,
  },
};

/** A depthwise convolution; `flip` turns the kernel round. Inputs as for `groupedOp`. */
const depthwiseOp: Op<GroupedAttrs & { flip: boolean }> = {
  name: 'depthwiseConv',
  infer: groupedOp.infer,
  gradient: ({ inputs: [x, w], dys: [dy], attrs, wants }) => [
    wants[0] ? depthwiseGradient(dy!, w, attrs) : null,
    wants[1] ? reduceSum(trace(groupedWeightGradOp, [x, dy!], attrs)[0], [0]) : null,
  ],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, a) => depthwiseKernel(w, a, a.flip),
    flops: ({ attrs: a }) => 2 * a.batch * a.oh * a.ow * a.c * a.kh * a.kw,
  },
};

/** Under a stride of 1 the input gradient is the convolution of dy with the turned kernel. */
function depthwiseGradient(dy: Tensor, w: Tensor, a: GroupedAttrs): Tensor {
  if (a.sh > 1 || a.sw > 1) return trace(depthwiseInputGradOp, [dy, w], a)[0];
  const turned = {
    ...a,
    h: a.oh,
    w: a.ow,
    oh: a.h,
    ow: a.w,
    top: (a.kh - 1) * a.dh - a.top,
    left: (a.kw - 1) * a.dw - a.left,
    flip: true,
  };
  return trace(depthwiseTurnedOp, [dy, w], turned)[0];
}

/** A gradient itself, it has none. */
const depthwiseTurnedOp: Op<GroupedAttrs & { flip: boolean }> = {
  name: 'depthwiseConvTurned',
  infer: groupedOp.infer,
  lower: depthwiseOp.lower,
};

const depthwiseInputGradOp: Op<GroupedAttrs> = {
  name: 'depthwiseConvInputGrad',
  infer: groupedInputGradOp.infer,
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: depthwiseInputGradient,
    flops: ({ attrs: a }) => 2 * a.batch * a.oh * a.ow * a.c * a.kh * a.kw,
  },
};

export interface Conv2dOptions extends WindowOptions {
  groups?: number;
}

/**
 * Convolution of x [B, H, W, C] with w [O, C / groups, kh, kw] (PyTorch's layout; f32 or f16): [B, OH, OW, O].
 * A 1×1 kernel is one product; other ungrouped ones gather their windows first; grouped and depthwise ones run
 * directly, the latter several places at a time.
 */
export function conv2d(x: Tensor, w: Tensor, { groups = 1, ...options }: Conv2dOptions = {}): Tensor {
  const [out, ci, kh, kw] = w.shape;
  const channels = x.shape[3];
  if (x.shape.length !== 4 || w.shape.length !== 4 || ci * groups !== channels || out % groups)
    throw new ShapeError(
      `conv2d: weight [${w.shape}] with ${groups} groups does not fit an input [${x.shape}].`,
    );
  const a = windowOf(x, kh, kw, options);
  if (groups > 1) {
    const weight = transpose(w, [2, 3, 1, 0]);
    const attrs = { ...a, ci, co: out / groups, out };
    // Padding beyond the kernel's reach would turn negative in the gradient; the general form takes it.
    const depthwise = ci * attrs.co === 1 && a.top <= (kh - 1) * a.dh && a.left <= (kw - 1) * a.dw;
    if (depthwise) return trace(depthwiseOp, [x, weight], { ...attrs, flip: false })[0];
    return trace(groupedOp, [x, weight], attrs)[0];
  }
  const whole = kh * kw * a.sh * a.sw === 1 && a.oh === a.h && a.ow === a.w;
  const columns = whole ? x : trace(im2colOp, [x], a)[0];
  return matmul(columns, reshape(w, [out, ci * kh * kw]), { tb: true });
}
