import type { Op } from '../graph/op.ts';
import { sizeOf, type Tensor, trace } from '../graph/tensor.ts';
import { flatKernel } from '../kernels/rows.ts';
import {
  inputPlace,
  outputPlace,
  overOutputs,
  overWindow,
  type Window,
  type WindowOptions,
  windowOf,
} from '../kernels/window.ts';
import { literal } from './map.ts';

const outputShape = (a: Window) => [a.batch, a.oh, a.ow, a.c];

/** Outputs: the largest element of each window, and its place y · W + x in the input (the first of equals). */
const maxPoolOp: Op<Window> = {
  name: 'maxPool',
  infer: (_, a) => [
    { shape: outputShape(a), dtype: 'f32' },
    { shape: outputShape(a), dtype: 'u32' },
  ],
  gradient: ({ outputs: [, places], dys, attrs }) => [trace(maxPoolGradOp, [dys[0]!, places], attrs)[0]],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, a) =>
      flatKernel(w, 'window', sizeOf(w.outputs[0].shape), (k) => {
        const x = k.tensor(w.inputs[0]);
        return `${outputPlace(a)}
  var value = -3.4e38;
  var place = 0u;
${overWindow(
  a,
  `      let v = ${x.at(`((b * ${a.h}u + y) * ${a.w}u + x) * ${a.c}u + c`)};
      if (v > value) { value = v; place = y * ${a.w}u + x; }`,
)}
  ${w.reads(1) ? k.tensor(w.outputs[1], { writes: true }).set('i', 'place') : ''}
  ${k.finish('i', 'value')}`;
      }),
  },
};

const maxPoolGradOp: Op<Window> = {
  name: 'maxPoolGrad',
  infer: (_, a) => [{ shape: [a.batch, a.h, a.w, a.c], dtype: 'f32' }],
  lower: {
    kind: 'point',
    body: (w, a) => `${inputPlace(a)}
  var value = 0.0;
${overOutputs(
  a,
  `      let at = ((b * ${a.oh}u + oy) * ${a.ow}u + ox) * ${a.c}u + c;
      if (${w.read(1, 'at')} == y * ${a.w}u + x) { value += ${w.read(0, 'at')}; }`,
)}`,
  },
};

interface AverageAttrs extends Window {
  countPadding: boolean;
}

/** WGSL for 1 / (elements of the window at oy, ox that count), after its declarations. */
function share(a: AverageAttrs): { head: string; value: string } {
  if (a.countPadding) return { head: '', value: literal(1 / (a.kh * a.kw)) };
  const inside = (o: string, s: number, d: number, k: number, before: number, n: number, name: string) =>
    `      var ${name} = 0u;
      for (var e = 0u; e < ${k}u; e++) { ${name} += select(0u, 1u, ${o} * ${s}u + e * ${d}u - ${before}u < ${n}u); }`;
  return {
    head: `${inside('oy', a.sh, a.dh, a.kh, a.top, a.h, 'ny')}\n${inside('ox', a.sw, a.dw, a.kw, a.left, a.w, 'nx')}`,
    value: '1.0 / f32(max(ny * nx, 1u))',
  };
}

const averagePoolOp: Op<AverageAttrs> = {
  name: 'avgPool',
  infer: (_, a) => [{ shape: outputShape(a), dtype: 'f32' }],
  gradient: ({ dys, attrs }) => [trace(averagePoolGradOp, [dys[0]!], attrs)[0]],
  lower: {
    kind: 'point',
    body: (w, a) => {
      const { head, value } = share(a);
      return `${outputPlace(a)}
  var value = 0.0;
${overWindow(a, `      value += ${w.read(0, `((b * ${a.h}u + y) * ${a.w}u + x) * ${a.c}u + c`)};`)}
${head}
  value *= ${value};`;
    },
  },
};

const averagePoolGradOp: Op<AverageAttrs> = {
  name: 'avgPoolGrad',
  infer: (_, a) => [{ shape: [a.batch, a.h, a.w, a.c], dtype: 'f32' }],
  lower: {
    kind: 'point',
    body: (w, a) => {
      const { head, value } = share(a);
      return `${inputPlace(a)}
  var value = 0.0;
${overOutputs(
  a,
  `${head}
      value += ${w.read(0, `((b * ${a.oh}u + oy) * ${a.ow}u + ox) * ${a.c}u + c`)} * ${value};`,
)}`;
    },
  },
};

const pair = (k: number | readonly [number, number]): readonly [number, number] =>
  typeof k === 'number' ? [k, k] : k;

/** Largest element of each window of x [B, H, W, C]; the stride is the window's size unless given. */
export function maxPool2d(
  x: Tensor,
  size: number | readonly [number, number],
  options: WindowOptions = {},
): Tensor {
  const [kh, kw] = pair(size);
  return trace(maxPoolOp, [x], windowOf(x, kh, kw, { stride: pair(size), ...options }))[0];
}

/**
 * Mean of each window of x [B, H, W, C]; the stride is the window's size unless given. Padding counts as zeros
 * (PyTorch's default) unless `countPadding` is false (TensorFlow's, ONNX's).
 */
export function avgPool2d(
  x: Tensor,
  size: number | readonly [number, number],
  { countPadding = true, ...options }: WindowOptions & { countPadding?: boolean } = {},
): Tensor {
  const [kh, kw] = pair(size);
  return trace(averagePoolOp, [x], {
    ...windowOf(x, kh, kw, { stride: pair(size), ...options }),
    countPadding,
  })[0];
}
