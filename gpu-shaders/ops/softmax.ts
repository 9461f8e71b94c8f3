import type { Op } from '../graph/op.ts';
import { type Tensor, trace } from '../graph/tensor.ts';
import { rowKernel, rowLoop, rowSum, rowsOf, rowTop, rowType } from '../kernels/rows.ts';

interface SoftmaxAttrs {
  log: boolean;
}

const softmaxOp: Op<SoftmaxAttrs> = {
  name: 'softmax',
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  gradient: ({ outputs: [y], dys, attrs }) => [trace(softmaxGradOp, [dys[0]!, y], attrs)[0]],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, { log }) => {
      const { rows, width } = rowsOf(w.inputs[0]);
      const type = rowType(width);
      rowKernel(w, 'rows', { rows, width }, (k) => {
        const shifted = (x: string) => `max(${x} - top, ${type}(-87.0))`;
        const value = (x: string) => (log ? `${x} - top - logSum` : `exp(${shifted(x)}) * scale`);
        return `  var high = ${type}(-3.4e38);
${rowLoop(k, w, width, (s) => `    high = max(high, ${s.full(0)});`)}
  let top = ${rowTop(k, w, width, 'high')};
  var sum = ${type}();
${rowLoop(k, w, width, (s) => `    sum += exp(${shifted(s.full(0))});`)}
  let ${log ? 'logSum = log' : 'scale = 1.0 / '}(${rowSum(k, w, width, 'sum')});
${rowLoop(k, w, width, (s) => `    ${s.finish(value(s.full(0)))}`)}`;
      });
    },
  },
};

/** Softmax: dx = y (dy - sum(dy y)). Log-softmax: dx = dy - exp(y) sum(dy). */
const softmaxGradOp: Op<SoftmaxAttrs> = {
  name: 'softmaxGrad',
  infer: ([, y]) => [{ shape: y.shape, dtype: 'f32' }],
  lower: {
    kind: 'kernels',
    fuses: true,
    emit: (w, { log }) => {
      const { rows, width } = rowsOf(w.inputs[1]);
      const type = rowType(width);
      rowKernel(
        w,
        'rows',
        { rows, width },
        (k) => `  var parts = ${type}();
${rowLoop(k, w, width, (s) => `    parts += ${s.full(0)}${log ? '' : ` * ${s.full(1)}`};`)}
  let sum = ${rowSum(k, w, width, 'parts')};
${rowLoop(k, w, width, (s) => {
  const [dy, y] = [s.full(0), s.full(1)];
  return `    ${s.finish(log ? `${dy} - exp(clamp(${y}, ${type}(-87.0), ${type}(0.0))) * sum` : `${y} * (${dy} - sum)`)}`;
})}`,
      );
    },
  },
};

/** exp(x) / sum(exp(x)) over the last axis, with the maximum subtracted. */
export const softmax = (x: Tensor): Tensor => trace(softmaxOp, [x], { log: false })[0];

/** log(softmax(x)) over the last axis. */
export const logSoftmax = (x: Tensor): Tensor => trace(softmaxOp, [x], { log: true })[0];
