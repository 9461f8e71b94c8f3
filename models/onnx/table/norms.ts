import type { Node, Tensor } from '../../../gpu-shaders/index.ts';
import type { Emitter, Row } from '../emitter.ts';

interface NormAttrs {
  eps: number;
  weight: number;
  bias: number;
}

function layerNorm(e: Emitter, { inputs, outputs: [y], attrs }: Node): void {
  const { eps, weight, bias } = attrs as NormAttrs;
  const width = y.shape.at(-1)!;
  const scale = weight < 0 ? e.floats(new Float32Array(width).fill(1), [width]) : e.value(inputs[weight]);
  const args = [e.value(inputs[0]), scale, ...(bias < 0 ? [] : [e.value(inputs[bias])])];
  e.set(y, e.node('LayerNormalization', args, { axis: -1, epsilon: { float: eps } }));
}

/** x / sqrt(mean(x²) + eps) · w. */
function rmsNorm(e: Emitter, { inputs, outputs: [y], attrs }: Node): void {
  const { eps, weight } = attrs as NormAttrs;
  const x = e.value(inputs[0]);
  const square = e.node('ReduceMean', [e.node('Mul', [x, x]), e.ints([-1])], { keepdims: 1 });
  const scaled = e.node('Div', [x, e.node('Sqrt', [e.node('Add', [square, e.scalar(eps)])])]);
  e.set(y, weight < 0 ? scaled : e.node('Mul', [scaled, e.value(inputs[weight] as Tensor)]));
}

export const normRows: Record<string, Row> = {
  layerNorm,
  rmsNorm,
  softmax: (e, { inputs: [x], outputs: [y], attrs }) =>
    e.set(y, e.node(attrs.log ? 'LogSoftmax' : 'Softmax', [e.value(x)], { axis: -1 })),
};
