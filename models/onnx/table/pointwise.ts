import { type Node, sameShape, type Tensor } from '../../../gpu-shaders/index.ts';
import type { Emitter, Row } from '../emitter.ts';
import { elementType } from '../messages.ts';

type Write = (e: Emitter, args: string[], node: Node) => string;

/**
 * An operation of equally placed elements. It stays channels first where an input of the result's shape is there that
 * way; `numbers` makes integers into f32 first, as our kernels compare them.
 */
function pointwise(write: Write, { numbers = false } = {}): Row {
  return (e, node) => {
    const [out] = node.outputs;
    const first =
      out.shape.length === 4 &&
      node.inputs.every(fitsFirst) &&
      node.inputs.some((t) => sameShape(t.shape, out.shape) && e.isChannelsFirst(t));
    const args = node.inputs.map((t) => {
      const name = first ? channelsFirst(e, t) : e.value(t);
      return numbers && t.dtype !== 'f32' ? e.node('Cast', [name], { to: elementType.f32 }) : name;
    });
    const result = write(e, args, node);
    if (first) e.setChannelsFirst(out, result);
    else e.set(out, result);
  };
}

const fitsFirst = (t: Tensor) => [0, 1, 4].includes(t.shape.length);

/** An operand of a channels-first result: whole pictures, one number a channel, or one number. */
function channelsFirst(e: Emitter, t: Tensor): string {
  if (t.shape.length === 4) return e.channelsFirst(t);
  return t.shape.length === 0 ? e.value(t) : e.reshape(e.value(t), [t.shape[0], 1, 1]);
}

const plain = (op: string, attributes = {}) => pointwise((e, args) => e.node(op, args, attributes));

const comparison = (op: string) =>
  pointwise((e, args) => e.node('Cast', [e.node(op, args)], { to: elementType.f32 }), { numbers: true });

/** x to a fixed power, with zero for the fractional powers of what is not positive, as the kernel has it. */
const power: Write = (e, [x], { attrs }) => {
  const exponent = attrs.exponent as number;
  if (exponent === 0) return e.node('Add', [e.node('Mul', [x, e.scalar(0)]), e.scalar(1)]);
  const base = Number.isInteger(exponent)
    ? x
    : exponent > 0
      ? e.node('Relu', [x])
      : e.node('Max', [e.node('Abs', [x]), e.scalar(1e-38)]);
  return e.node('Pow', [base, e.scalar(exponent)]);
};

const swish = (e: Emitter, x: string, slope = 1) =>
  e.node('Mul', [x, e.node('Sigmoid', [slope === 1 ? x : e.node('Mul', [x, e.scalar(slope)])])]);

export const pointwiseRows: Record<string, Row> = {
  add: plain('Add'),
  sub: plain('Sub'),
  mul: plain('Mul'),
  div: plain('Div'),
  neg: plain('Neg'),
  exp: plain('Exp'),
  log: plain('Log'),
  sqrt: plain('Sqrt'),
  abs: plain('Abs'),
  sin: plain('Sin'),
  cos: plain('Cos'),
  erf: plain('Erf'),
  tanh: plain('Tanh'),
  sigmoid: plain('Sigmoid'),
  relu: plain('Relu'),
  copy: plain('Identity'),
  stopGradient: plain('Identity'),
  softplus: plain('Softplus'),
  gelu: plain('Gelu', { approximate: 'none' }),
  geluTanh: plain('Gelu', { approximate: 'tanh' }),
  rsqrt: pointwise((e, [x]) => e.node('Reciprocal', [e.node('Sqrt', [x])])),
  silu: pointwise((e, [x]) => swish(e, x)),
  quickGelu: pointwise((e, [x]) => swish(e, x, 1.702)),
  hardSwish: plain('HardSwish'),
  relu6: pointwise((e, [x]) => e.node('Clip', [x, e.scalar(0), e.scalar(6)])),
  leakyRelu: pointwise((e, [x], { attrs }) => e.node('LeakyRelu', [x], { alpha: { float: attrs.slope } })),
  pow: pointwise(power),
  maximum: plain('Max'),
  minimum: plain('Min'),
  greater: comparison('Greater'),
  greaterEqual: comparison('GreaterOrEqual'),
  equal: comparison('Equal'),
  sameLabel: comparison('Equal'),
  where: pointwise((e, [c, a, b]) => e.node('Where', [e.node('Cast', [c], { to: elementType.bool }), a, b])),
  cast: pointwise((e, [x], { outputs: [{ dtype }] }) =>
    e.node('Cast', [x], { to: dtype === 'f32' ? elementType.f32 : elementType.i32 }),
  ),
};
