import type { Op } from '../graph/op.ts';
import { broadcastShapes, type Shape, sameShape, sizeOf, type Tensor, trace } from '../graph/tensor.ts';
import { binary } from './binary.ts';
import { derivative, literal, map, unary } from './map.ts';
import { reduceSumTo } from './reduce.ts';

const addOp = map(
  'add',
  (a, b) => `(${a} + ${b})`,
  binary(
    (_a, _b, d) => d,
    (_a, _b, d) => d,
  ),
);
const subOp = map(
  'sub',
  (a, b) => `(${a} - ${b})`,
  binary(
    (_a, _b, d) => d,
    (_a, _b, d) => neg(d),
  ),
);
const mulOp = map(
  'mul',
  (a, b) => `(${a} * ${b})`,
  binary(
    (_a, b, d) => mul(d, b),
    (a, _b, d) => mul(d, a),
  ),
);
const divOp = map(
  'div',
  (a, b) => `(${a} / ${b})`,
  binary(
    (_a, b, d) => div(d, b),
    (_a, b, d, y) => neg(div(mul(d, y), b)),
  ),
);
const negOp = map(
  'neg',
  (a) => `(-${a})`,
  unary((_x, _y, d) => neg(d)),
);
const expOp = map(
  'exp',
  (a) => `exp(${a})`,
  unary((_x, y, d) => mul(d, y)),
);
const logOp = map(
  'log',
  (a) => `log(${a})`,
  unary((x, _y, d) => div(d, x)),
);
const sqrtOp = map(
  'sqrt',
  (a) => `sqrt(${a})`,
  unary((_x, y, d) => div(mul(d, 0.5), y)),
);
const absOp = map(
  'abs',
  (a) => `abs(${a})`,
  unary((x, _y, d) => mul(d, trace(signOp, [x], undefined)[0])),
);
const signOp: Op = {
  ...map(
    'sign',
    (a) => `sign(${a})`,
    unary((_x, _y, d) => mul(d, 0)),
  ),
};
const tanhOp = map(
  'tanh',
  (a) => `tanh_bounded(${a})`,
  unary((_x, y, d) => mul(d, sub(1, mul(y, y)))),
  ['tanhBounded'],
);
const sigmoidOp = map(
  'sigmoid',
  (a) => `sigmoid(${a})`,
  unary((_x, y, d) => mul(d, mul(y, sub(1, y)))),
  ['sigmoid'],
);
const siluOp = map(
  'silu',
  (a) => `(${a} * sigmoid(${a}))`,
  unary((x, _y, d) => trace(siluGradOp, [x, d], undefined)[0]),
  ['sigmoid'],
);
const siluGradOp = derivative(
  'siluGrad',
  (x, d) => `(${d} * sigmoid(${x}) * (1.0 + ${x} * (1.0 - sigmoid(${x}))))`,
  ['sigmoid'],
);
const geluOp = map(
  'gelu',
  (a) => `gelu(${a})`,
  unary((x, _y, d) => trace(geluGradOp, [x, d], undefined)[0]),
  ['gelu'],
);
const geluGradOp = derivative('geluGrad', (x, d) => `(${d} * gelu_grad(${x}))`, ['geluGrad']);
const geluTanhOp = map(
  'geluTanh',
  (a) => `gelu_tanh(${a})`,
  unary((x, _y, d) => trace(geluTanhGradOp, [x, d], undefined)[0]),
  ['geluTanh'],
);
const geluTanhGradOp = derivative('geluTanhGrad', (x, d) => `(${d} * gelu_tanh_grad(${x}))`, [
  'geluTanhGrad',
]);
const reluOp = map(
  'relu',
  (a) => `max(${a}, 0.0)`,
  unary((x, _y, d) => trace(reluGradOp, [x, d], undefined)[0]),
);
const reluGradOp = derivative('reluGrad', (x, d) => `select(0.0, ${d}, ${x} > 0.0)`);
const relu6Op = map(
  'relu6',
  (a) => `clamp(${a}, 0.0, 6.0)`,
  unary((x, _y, d) => trace(relu6GradOp, [x, d], undefined)[0]),
);
const relu6GradOp = derivative('relu6Grad', (x, d) => `select(0.0, ${d}, ${x} > 0.0 && ${x} < 6.0)`);
const stopGradientOp = map(
  'stopGradient',
  (a) => a,
  () => [null],
);
const copyOp = map(
  'copy',
  (a) => a,
  unary((_x, _y, d) => d),
);

const fillOp: Op<{ shape: Shape; value: number }> = {
  name: 'fill',
  infer: (_, a) => [{ shape: a.shape, dtype: 'f32' }],
  lower: { kind: 'map', inline: true, expr: (_args, a) => literal(a.value) },
};

type Operand = Tensor | number;
const lift = (x: Operand): Tensor => (typeof x === 'number' ? fill([], x) : x);
const two = (op: Op) => (a: Operand, b: Operand) => trace(op, [lift(a), lift(b)], undefined)[0];
const one = (op: Op) => (a: Tensor) => trace(op, [a], undefined)[0];

/** A tensor of one value; it takes no memory. */
export const fill = (shape: Shape, value: number): Tensor => trace(fillOp, [], { shape, value })[0];
export const add = two(addOp);
export const sub = two(subOp);
export const mul = two(mulOp);
export const div = two(divOp);
export const neg = one(negOp);
export const exp = one(expOp);
export const log = one(logOp);
export const sqrt = one(sqrtOp);
export const abs = one(absOp);
export const tanh = one(tanhOp);
export const sigmoid = one(sigmoidOp);
export const silu = one(siluOp);
export const relu = one(reluOp);
export const relu6 = one(relu6Op);
/** The same values in a place of their own. */
export const copy = one(copyOp);
/** x itself, but nothing is learnt through it. */
export const stopGradient = one(stopGradientOp);
/** GELU: exact by erf, or the tanh approximation. */
export const gelu = (x: Tensor, form: 'exact' | 'tanh' = 'exact'): Tensor =>
  trace(form === 'exact' ? geluOp : geluTanhOp, [x], undefined)[0];

const broadcastOp: Op<Shape> = {
  name: 'broadcast',
  infer: (_, shape) => [{ shape, dtype: 'f32' }],
  gradient: ({ inputs, dys }) => [reduceSumTo(dys[0]!, inputs[0].shape)],
  lower: { kind: 'map', expr: ([a]) => a },
};

/** `x` spread over `shape` (NumPy's broadcasting). */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  if (sizeOf(broadcastShapes(x.shape, shape)) !== sizeOf(shape))
    throw new RangeError(`[${x.shape}] does not broadcast to [${shape}].`);
  return trace(broadcastOp, [x], shape)[0];
}
