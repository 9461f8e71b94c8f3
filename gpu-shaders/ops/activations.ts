import type { Op } from '../graph/op.ts';
import { type Tensor, trace } from '../graph/tensor.ts';
import { exp, mul, neg } from './elementwise.ts';
import { derivative, literal, map, unary } from './map.ts';

const one = (op: Op) => (x: Tensor) => trace(op, [x], undefined)[0];

/** A map whose derivative is a map of (x, dy) of its own. */
function activation(
  name: string,
  expr: (x: string) => string,
  slope: (x: string, d: string) => string,
  helpers: string[] = [],
): Op {
  const gradOp = derivative(`${name}Grad`, slope, helpers);
  return map(
    name,
    expr,
    unary((x, _y, d) => trace(gradOp, [x, d], undefined)[0]),
    helpers,
  );
}

const rsqrtOp = map(
  'rsqrt',
  (x) => `inverseSqrt(${x})`,
  unary((_x, y, d) => mul(mul(d, -0.5), mul(y, mul(y, y)))),
);
const sinOp = map(
  'sin',
  (x) => `sine(${x}, 0)`,
  unary((x, _y, d) => mul(d, cos(x))),
  ['sine'],
);
const cosOp = map(
  'cos',
  (x) => `sine(${x}, 1)`,
  unary((x, _y, d) => neg(mul(d, sin(x)))),
  ['sine'],
);
const erfOp = map(
  'erf',
  (x) => `erf(${x})`,
  unary((x, _y, d) => mul(mul(d, 2 / Math.sqrt(Math.PI)), exp(neg(mul(x, x))))),
  ['erf'],
);
const softplusOp = activation(
  'softplus',
  (x) => `(max(${x}, 0.0) + log(1.0 + exp(max(-abs(${x}), -87.0))))`,
  (x, d) => `(${d} * sigmoid(${x}))`,
  ['sigmoid'],
);
const hardSwishOp = activation(
  'hardSwish',
  (x) => `(${x} * clamp(${x} + 3.0, 0.0, 6.0) / 6.0)`,
  (x, d) => `(${d} * select(clamp(sign(${x}), 0.0, 1.0), (2.0 * ${x} + 3.0) / 6.0, abs(${x}) < 3.0))`,
);
const quickGeluOp = activation(
  'quickGelu',
  (x) => `(${x} * sigmoid(1.702 * ${x}))`,
  (x, d) => `(${d} * sigmoid(1.702 * ${x}) * (1.0 + 1.702 * ${x} * (1.0 - sigmoid(1.702 * ${x}))))`,
  ['sigmoid'],
);

export const rsqrt = one(rsqrtOp);
export const sin = one(sinOp);
export const cos = one(cosOp);
/** The error function, to 1.5e-7. */
export const erf = one(erfOp);
/** log(1 + exp(x)). */
export const softplus = one(softplusOp);
/** x relu6(x + 3) / 6. */
export const hardSwish = one(hardSwishOp);
/** x sigmoid(1.702 x), the GELU of CLIP. */
export const quickGelu = one(quickGeluOp);

interface SlopeAttrs {
  slope: number;
}

const leakyReluOp: Op<SlopeAttrs> = {
  name: 'leakyRelu',
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  gradient: ({ inputs: [x], dys, attrs }) => [trace(leakyReluGradOp, [x, dys[0]!], attrs)[0]],
  lower: { kind: 'map', expr: ([x], a) => `select(${literal(a.slope)} * ${x}, ${x}, ${x} > 0.0)` },
};
const leakyReluGradOp: Op<SlopeAttrs> = {
  name: 'leakyReluGrad',
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  lower: { kind: 'map', expr: ([x, d], a) => `select(${literal(a.slope)} * ${d}, ${d}, ${x} > 0.0)` },
};

/** x where positive, else `slope` x. */
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor => trace(leakyReluOp, [x], { slope })[0];

interface PowAttrs {
  exponent: number;
}

const powOp: Op<PowAttrs> = {
  name: 'pow',
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  gradient: ({ inputs: [x], dys, attrs: { exponent } }) => [
    mul(dys[0]!, mul(pow(x, exponent - 1), exponent)),
  ],
  lower: {
    kind: 'map',
    expr: ([x], { exponent: n }) => {
      if (n === 0) return '1.0';
      if (n === 1) return x;
      if (Number.isInteger(n) && Math.abs(n) <= 4) {
        const product = `(${Array(Math.abs(n)).fill(x).join(' * ')})`;
        return n > 0 ? product : `(1.0 / ${product})`;
      }
      // WGSL's pow knows no negative base, and drivers differ at zero.
      const size = `pow(max(abs(${x}), 1e-38), ${literal(n)})`;
      if (!Number.isInteger(n)) return n > 0 ? `select(0.0, ${size}, ${x} > 0.0)` : size;
      return n % 2 ? `(sign(${x}) * ${size})` : size;
    },
  },
};

/** x to a fixed power. A negative x needs a whole exponent. */
export const pow = (x: Tensor, exponent: number): Tensor => trace(powOp, [x], { exponent })[0];
