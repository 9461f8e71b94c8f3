import type { KernelText, KernelWriter } from '../compile/writer.ts';
import type { Box, NodeTypes, Op } from '../graph/op.ts';
import { ShapeError, type Tensor, type TensorType, trace } from '../graph/tensor.ts';
import { rowKernel, rowLoop, rowSet, rowSum, rowsOf, rowType } from '../kernels/rows.ts';
import { mul, sub } from './elementwise.ts';
import { reduceSumTo } from './reduce.ts';
import { reshape } from './reshape.ts';

interface NormAttrs {
  eps: number;
  /** Where weight and bias lie among the inputs; -1 where there is none. */
  weight: number;
  bias: number;
}

const perRow = (x: TensorType): TensorType => ({ shape: x.shape.slice(0, -1), dtype: 'f32' });

function checkColumns(name: string, x: TensorType, columns: readonly TensorType[]): void {
  for (const c of columns)
    if (c.shape.length !== 1 || c.shape[0] !== x.shape.at(-1))
      throw new ShapeError(`${name}: a weight or bias [${c.shape}] does not fit rows of [${x.shape}].`);
}

/** Writes y from a row already centred and scaled by `value`. */
function affine(k: KernelText, w: KernelWriter, a: NormAttrs, width: number, value: (x: string) => string) {
  return rowLoop(k, w, width, (s) => {
    const scaled = a.weight < 0 ? value(s.full(0)) : `${value(s.full(0))} * ${s.column(a.weight)}`;
    return `    ${s.finish(a.bias < 0 ? scaled : `${scaled} + ${s.column(a.bias)}`)}`;
  });
}

/** Rows stand alone. */
function narrowNorm({ inputs: [x, ...columns], attrs }: NodeTypes<NormAttrs>, box: Box) {
  return box.shape.at(-1) === x.shape.at(-1) ? { inputs: [box, ...columns.map(() => null)], attrs } : null;
}

const layerNormOp: Op<NormAttrs> = {
  name: 'layerNorm',
  narrow: narrowNorm,
  infer: ([x, ...columns]) => {
    checkColumns('layerNorm', x, columns);
    return [{ shape: x.shape, dtype: 'f32' }, perRow(x), perRow(x)];
  },
  gradient: ({ inputs, outputs: [, mean, rstd], dys, attrs, wants }) => {
    const [x] = inputs;
    const dy = dys[0];
    if (dys[1] || dys[2] || !dy) throw new Error('layerNorm: its statistics carry no gradient.');
    const weight = attrs.weight < 0 ? null : inputs[attrs.weight];
    const column = (m: Tensor) => reshape(m, [...m.shape, 1]);
    return inputs.map((t, i) => {
      if (!wants[i]) return null;
      if (i === 0) return normGradient(dy, x, weight, mean, rstd);
      if (i === attrs.bias) return reduceSumTo(dy, t.shape);
      return reduceSumTo(mul(dy, mul(sub(x, column(mean)), column(rstd))), t.shape);
    });
  },
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, attrs) => {
      const { rows, width } = rowsOf(w.inputs[0]);
      const type = rowType(width);
      rowKernel(
        w,
        'rows',
        { rows, width },
        (k) => `  var sum = ${type}();
${rowLoop(k, w, width, (s) => `    sum += ${s.full(0)};`)}
  let mean = ${rowSum(k, w, width, 'sum')} / ${width}.0;
  sum = ${type}();
${rowLoop(k, w, width, (s) => `    let d = ${s.full(0)} - mean;\n    sum += d * d;`)}
  let rstd = inverseSqrt(${rowSum(k, w, width, 'sum')} / ${width}.0 + ${attrs.eps.toExponential()}f);
  ${w.reads(1) ? rowSet(k, w, width, 1, 'mean') : ''}
  ${w.reads(2) ? rowSet(k, w, width, 2, 'rstd') : ''}
${affine(k, w, attrs, width, (x) => `(${x} - mean) * rstd`)}`,
      );
    },
  },
};

const rmsNormOp: Op<NormAttrs> = {
  name: 'rmsNorm',
  narrow: narrowNorm,
  infer: ([x, ...columns]) => {
    checkColumns('rmsNorm', x, columns);
    return [{ shape: x.shape, dtype: 'f32' }, perRow(x)];
  },
  gradient: ({ inputs, outputs: [, rstd], dys, attrs, wants }) => {
    const [x] = inputs;
    const dy = dys[0];
    if (dys[1] || !dy) throw new Error('rmsNorm: its statistics carry no gradient.');
    const weight = attrs.weight < 0 ? null : inputs[attrs.weight];
    return inputs.map((t, i) => {
      if (!wants[i]) return null;
      if (i === 0) return normGradient(dy, x, weight, null, rstd);
      return reduceSumTo(mul(dy, mul(x, reshape(rstd, [...rstd.shape, 1]))), t.shape);
    });
  },
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, attrs) => {
      const { rows, width } = rowsOf(w.inputs[0]);
      const type = rowType(width);
      rowKernel(
        w,
        'rows',
        { rows, width },
        (k) => `  var sum = ${type}();
${rowLoop(k, w, width, (s) => `    let d = ${s.full(0)};\n    sum += d * d;`)}
  let rstd = inverseSqrt(${rowSum(k, w, width, 'sum')} / ${width}.0 + ${attrs.eps.toExponential()}f);
  ${w.reads(1) ? rowSet(k, w, width, 1, 'rstd') : ''}
${affine(k, w, attrs, width, (x) => `${x} * rstd`)}`,
      );
    },
  },
};

interface NormGradientAttrs {
  /** Places among the inputs (dy, x, rstd, …); -1 where absent. */
  weight: number;
  mean: number;
}

/** dx = rstd (g - mean(g) - n mean(g n)) with g = dy weight, n the normalised row; without mean(g) for RMS. */
const normGradOp: Op<NormGradientAttrs> = {
  name: 'normGrad',
  infer: ([, x]) => [{ shape: x.shape, dtype: 'f32' }],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, a) => {
      const { rows, width } = rowsOf(w.inputs[1]);
      const type = rowType(width);
      rowKernel(w, 'rows', { rows, width }, (k) => {
        const at = (i: number) => (i < 0 ? '0.0' : k.tensor(w.inputs[i]).at('row'));
        const values = (s: { full(i: number): string; column(i: number): string }) =>
          `    let g = ${s.full(0)}${a.weight < 0 ? '' : ` * ${s.column(a.weight)}`};
    let n = (${s.full(1)} - mean) * rstd;`;
        return `  let mean = ${at(a.mean)};
  let rstd = ${at(2)};
  var sumG = ${type}();
  var sumGN = ${type}();
${rowLoop(k, w, width, (s) => `${values(s)}\n    ${a.mean < 0 ? '' : 'sumG += g;'} sumGN += g * n;`)}
  let meanG = ${rowSum(k, w, width, 'sumG')} / ${width}.0;
  let meanGN = ${rowSum(k, w, width, 'sumGN')} / ${width}.0;
${rowLoop(k, w, width, (s) => `${values(s)}\n    ${s.finish('(g - meanG - n * meanGN) * rstd')}`)}`;
      });
    },
  },
};

function normGradient(
  dy: Tensor,
  x: Tensor,
  weight: Tensor | null,
  mean: Tensor | null,
  rstd: Tensor,
): Tensor {
  const inputs = [dy, x, rstd];
  const attrs = { weight: -1, mean: -1 };
  if (weight) attrs.weight = inputs.push(weight) - 1;
  if (mean) attrs.mean = inputs.push(mean) - 1;
  return trace(normGradOp, inputs, attrs)[0];
}

function normInputs(x: Tensor, w: Tensor | null, b: Tensor | null, eps: number): [Tensor[], NormAttrs] {
  const inputs = [x];
  const attrs = { eps, weight: -1, bias: -1 };
  if (w) attrs.weight = inputs.push(w) - 1;
  if (b) attrs.bias = inputs.push(b) - 1;
  return [inputs, attrs];
}

/** Layer normalisation over the last axis: (x - mean) / sqrt(variance + eps) · w + b; w, b [C] or null. */
export function layerNorm(x: Tensor, w: Tensor | null, b: Tensor | null, eps: number): Tensor {
  return trace(layerNormOp, ...normInputs(x, w, b, eps))[0];
}

/** Root-mean-square normalisation over the last axis: x / sqrt(mean(x²) + eps) · w; w [C] or null. */
export function rmsNorm(x: Tensor, w: Tensor | null, eps: number): Tensor {
  return trace(rmsNormOp, ...normInputs(x, w, null, eps))[0];
}
