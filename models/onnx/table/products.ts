import type { Node, Tensor } from '../../../gpu-shaders/index.ts';
import type { Emitter, Row } from '../emitter.ts';
import { OnnxExportError } from '../errors.ts';

/** What a window's attributes say, in our graphs' terms. */
interface Window {
  h: number;
  w: number;
  c: number;
  oh: number;
  ow: number;
  kh: number;
  kw: number;
  sh: number;
  sw: number;
  dh: number;
  dw: number;
  top: number;
  left: number;
}

function windowAttributes(a: Window) {
  const after = (
    out: number,
    stride: number,
    kernel: number,
    dilation: number,
    size: number,
    before: number,
  ) => Math.max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size - before);
  const bottom = after(a.oh, a.sh, a.kh, a.dh, a.h, a.top);
  const right = after(a.ow, a.sw, a.kw, a.dw, a.w, a.left);
  return {
    kernel_shape: [a.kh, a.kw],
    strides: [a.sh, a.sw],
    dilations: [a.dh, a.dw],
    pads: [a.top, a.left, bottom, right],
  };
}

/** A value seen through the operation of that name, where it is one. */
const behind = (t: Tensor, op: string) => (t.node.op.name === op ? t.node.inputs[0] : undefined);

/**
 * A convolution that our graph computes as gathered windows times a matrix, or as a plain product of channels: its
 * input and its weight [O, I, kh, kw]. Null where a product is not of that kind.
 */
function convolution({ inputs: [a, b], attrs }: Node) {
  const weight = behind(b, 'reshape');
  if (attrs.ta || !attrs.tb || weight?.shape.length !== 4 || a.shape.length !== 4) return null;
  const [out, channels, kh, kw] = weight.shape;
  const columns = b.shape.length === 2 && b.shape[0] === out && b.shape[1] === channels * kh * kw;
  const windows = behind(a, 'im2col');
  if (!columns) return null;
  if (!windows) return kh * kw === 1 ? { x: a, weight, attributes: {} } : null;
  return { x: windows, weight, attributes: windowAttributes(a.node.attrs) };
}

function matmul(e: Emitter, node: Node): void {
  const [y] = node.outputs;
  const conv = convolution(node);
  if (conv) {
    const args = [e.channelsFirst(conv.x), e.value(conv.weight)];
    e.setChannelsFirst(y, e.node('Conv', args, conv.attributes));
    return;
  }
  const [a, b] = node.inputs;
  const { ta, tb } = node.attrs as { ta: boolean; tb: boolean };
  e.set(y, e.node('MatMul', [ta ? turned(e, a) : e.value(a), tb ? turned(e, b) : e.value(b)]));
}

/** A value with its last two axes exchanged. */
function turned(e: Emitter, t: Tensor): string {
  const perm = t.shape.map((_, i) => i);
  const rank = perm.length;
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return e.node('Transpose', [e.value(t)], { perm });
}

/** Gathered windows that no product reads: a convolution with one kernel of a single one for each column. */
function im2col(e: Emitter, { inputs: [x], outputs: [y], attrs: a }: Node): void {
  const taps = a.kh * a.kw;
  const kernels = new Float32Array(a.c * taps * taps);
  for (let i = 0; i < a.c * taps; i++) kernels[i * taps + (i % taps)] = 1;
  const weight = e.floats(kernels, [a.c * taps, 1, a.kh, a.kw]);
  const attributes = { ...windowAttributes(a), group: a.c };
  e.setChannelsFirst(y, e.node('Conv', [e.channelsFirst(x), weight], attributes));
}

/** Inputs x and the weight as [kh, kw, I, O]; ONNX takes it as [O, I, kh, kw], which it mostly was before. */
function groupedConv(e: Emitter, { inputs: [x, w], outputs: [y], attrs: a }: Node): void {
  const stored = behind(w, 'transpose');
  const weight =
    stored && `${w.node.attrs.perm}` === '2,3,1,0'
      ? e.value(stored)
      : e.node('Transpose', [e.value(w)], { perm: [3, 2, 0, 1] });
  if (a.flip) throw new OnnxExportError('A convolution with a turned kernel has no ONNX form here.');
  const attributes = { ...windowAttributes(a), group: a.c / a.ci };
  e.setChannelsFirst(y, e.node('Conv', [e.channelsFirst(x), weight], attributes));
}

const pool =
  (op: string): Row =>
  (e, { inputs: [x], outputs: [y], attrs: a }) => {
    const attributes = {
      ...windowAttributes(a),
      ...(op === 'AveragePool' ? { count_include_pad: a.countPadding ? 1 : 0 } : {}),
    };
    e.setChannelsFirst(y, e.node(op, [e.channelsFirst(x)], attributes));
  };

/** softmax(q kᵀ scale + bias) v; query heads that share a key head lie beside each other on an axis of their own. */
function attention(e: Emitter, { inputs: [q, k, v, bias], outputs: [y], attrs }: Node): void {
  const { heads, scale, causal } = attrs as { heads: number; scale: number; causal: boolean };
  const [batch, queries, width] = q.shape;
  const [, keys, keyWidth] = k.shape;
  const d = width / heads;
  const keyHeads = keyWidth / d;
  const group = heads / keyHeads;
  const split = (t: Tensor, perm: number[], shape: number[]) =>
    e.node('Transpose', [e.reshape(e.value(t), shape)], { perm });
  // Without shared heads four axes do, which is the form that runtimes recognise.
  const shared = group > 1;
  const qShape = shared ? [batch, queries, keyHeads, group, d] : [batch, queries, heads, d];
  const kShape = shared ? [batch, keys, keyHeads, 1, d] : [batch, keys, heads, d];
  const qs = split(q, shared ? [0, 2, 3, 1, 4] : [0, 2, 1, 3], qShape);
  const ks = split(k, shared ? [0, 2, 3, 4, 1] : [0, 2, 3, 1], kShape);
  const vs = split(v, shared ? [0, 2, 3, 1, 4] : [0, 2, 1, 3], kShape);
  let scores = e.node('Mul', [e.node('MatMul', [qs, ks]), e.scalar(scale)]);
  if (bias) {
    const [b, h, t] = bias.shape;
    const byGroup = h === 1 ? [b, 1, 1, t, keys] : [b, keyHeads, group, t, keys];
    scores = e.node('Add', [scores, shared ? e.reshape(e.value(bias), byGroup) : e.value(bias)]);
  }
  if (causal) scores = e.node('Add', [scores, e.floats(causalMask(queries, keys), [queries, keys])]);
  const mixed = e.node('MatMul', [e.node('Softmax', [scores], { axis: -1 }), vs]);
  const back = e.node('Transpose', [mixed], { perm: shared ? [0, 3, 1, 2, 4] : [0, 2, 1, 3] });
  e.set(y, e.reshape(back, y.shape));
}

/** The halves of each head, turned by their token's angles. */
function rotary(e: Emitter, { inputs: [x, table], outputs: [y], attrs }: Node): void {
  const { head, sign } = attrs as { head: number; sign: number };
  const [batch, tokens, width] = x.shape;
  const cut = (value: string, at: number, axis: number) =>
    e.node('Slice', [value, e.ints([(at * head) / 2]), e.ints([((at + 1) * head) / 2]), e.ints([axis])]);
  const heads = e.reshape(e.value(x), [batch, tokens, width / head, head]);
  const angles = e.node('Unsqueeze', [e.value(table), e.ints([-2])]);
  const rank = table.shape.length + 1;
  const [a, b] = [cut(heads, 0, 3), cut(heads, 1, 3)];
  const [cos, sin] = [cut(angles, 0, rank - 1), cut(angles, 1, rank - 1)];
  const [lower, upper] = sign === 1 ? ['Sub', 'Add'] : ['Add', 'Sub'];
  const turned = [
    e.node(lower, [e.node('Mul', [a, cos]), e.node('Mul', [b, sin])]),
    e.node(upper, [e.node('Mul', [b, cos]), e.node('Mul', [a, sin])]),
  ];
  e.set(y, e.reshape(e.node('Concat', turned, { axis: 3 }), y.shape));
}

function causalMask(queries: number, keys: number): Float32Array {
  const mask = new Float32Array(queries * keys);
  for (let i = 0; i < queries; i++)
    for (let j = i + keys - queries + 1; j < keys; j++) mask[i * keys + j] = -1e30;
  return mask;
}

export const productRows: Record<string, Row> = {
  matmul,
  im2col,
  groupedConv,
  depthwiseConv: groupedConv,
  maxPool: pool('MaxPool'),
  avgPool: pool('AveragePool'),
  attention,
  rotary,
};
