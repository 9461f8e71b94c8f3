import type { Op } from '../graph/op.ts';
import { broadcastShapes, type DType, type Tensor, trace } from '../graph/tensor.ts';
import { binary } from './binary.ts';
import { fill, mul } from './elementwise.ts';
import { derivative, map } from './map.ts';
import { reduceSumTo } from './reduce.ts';

/** 1 where the comparison holds, else 0. Integers are compared as f32: exact up to 2²⁴. */
function comparison(name: string, sign: string): Op {
  return derivative(name, (a, b) => `select(0.0, 1.0, f32(${a}) ${sign} f32(${b}))`);
}
const greaterOp = comparison('greater', '>');
const greaterEqualOp = comparison('greaterEqual', '>=');
const equalOp = comparison('equal', '==');

/** 1 where a > b, ½ where they are equal, else 0: how much of a maximum's gradient is a's, as in PyTorch. */
const shareOp = derivative('share', (a, b) => `select(select(0.0, 0.5, ${a} == ${b}), 1.0, ${a} > ${b})`);
const share = (a: Tensor, b: Tensor) => trace(shareOp, [a, b], undefined)[0];

const maximumOp = map(
  'maximum',
  (a, b) => `max(${a}, ${b})`,
  binary(
    (a, b, d) => mul(d, share(a, b)),
    (a, b, d) => mul(d, share(b, a)),
  ),
);
const minimumOp = map(
  'minimum',
  (a, b) => `min(${a}, ${b})`,
  binary(
    (a, b, d) => mul(d, share(b, a)),
    (a, b, d) => mul(d, share(a, b)),
  ),
);

const whereOp: Op = {
  name: 'where',
  infer: (xs) => [{ shape: broadcastShapes(...xs.map((x) => x.shape)), dtype: 'f32' }],
  gradient: ({ inputs: [c, a, b], dys: [dy], wants }) => [
    null,
    wants[1] ? reduceSumTo(where(c, dy!, 0), a.shape) : null,
    wants[2] ? reduceSumTo(where(c, 0, dy!), b.shape) : null,
  ],
  lower: { kind: 'map', expr: ([c, a, b]) => `select(${b}, ${a}, f32(${c}) != 0.0)` },
};

const castOp: Op<DType> = {
  name: 'cast',
  infer: ([x], dtype) => [{ shape: x.shape, dtype }],
  lower: { kind: 'map', expr: ([x], dtype) => `${dtype}(${x})` },
};

type Operand = Tensor | number;
const lift = (x: Operand): Tensor => (typeof x === 'number' ? fill([], x) : x);
const two = (op: Op) => (a: Operand, b: Operand) => trace(op, [lift(a), lift(b)], undefined)[0];

/** f32 1 where a > b, else 0. No gradient passes through a comparison. */
export const greater = two(greaterOp);
export const greaterEqual = two(greaterEqualOp);
export const less = (a: Operand, b: Operand): Tensor => greater(b, a);
export const lessEqual = (a: Operand, b: Operand): Tensor => greaterEqual(b, a);
export const equal = two(equalOp);
/** The larger of both; equal elements share the gradient. */
export const maximum = two(maximumOp);
export const minimum = two(minimumOp);
/** x kept between `low` and `high`. */
export const clamp = (x: Tensor, low: number, high: number): Tensor => minimum(maximum(x, low), high);
/** a where `condition` is not 0, else b. */
export const where = (condition: Tensor, a: Operand, b: Operand): Tensor =>
  trace(whereOp, [condition, lift(a), lift(b)], undefined)[0];

/** The values as another type; storage types come out as f32. No gradient. */
export function cast(x: Tensor, dtype: 'f32' | 'i32' | 'u32'): Tensor {
  return x.dtype === dtype ? x : trace(castOp, [x], dtype)[0];
}
