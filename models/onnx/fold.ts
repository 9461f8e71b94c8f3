import {
  type ConstantAttrs,
  isConstant,
  isParameter,
  type Node,
  nodesOf,
  type ParameterAttrs,
  type Shape,
  sizeOf,
  stridesOf,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { halvesToFloats } from '../checkpoints/dtypes.ts';

/** The value of a parameter: the bytes of f16 where its leaf is of that type, else f32. */
export type ReadParameter = (name: string) => Promise<Float32Array | Uint8Array>;

/** Multiply-adds above which a product is left to the runtime. */
const MOST_PRODUCTS = 2e9;

type Evaluate = (args: readonly Float32Array[], node: Node) => Float32Array;

const unary =
  (f: (x: number) => number): Evaluate =>
  ([x]) =>
    x.map(f);

const binary =
  (f: (a: number, b: number) => number): Evaluate =>
  ([a, b], { inputs, outputs: [y] }) => {
    const [left, right] = [a, b].map((data, i) => spread(data, inputs[i].shape, y.shape));
    return left.map((x, i) => f(x, right[i]));
  };

/** `data` of a shape broadcast to another. */
function spread(data: Float32Array, from: Shape, to: Shape): Float32Array {
  if (data.length === sizeOf(to)) return data;
  const own = stridesOf(from);
  const lead = to.length - from.length;
  return gathered(
    data,
    to,
    to.map((_, i) => (i < lead || from[i - lead] === 1 ? 0 : own[i - lead])),
  );
}

/** The elements that `strides` lead to, for each place of `shape`. */
function gathered(data: Float32Array, shape: Shape, strides: readonly number[]): Float32Array {
  const places = stridesOf(shape);
  return Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
    let at = 0;
    for (let axis = 0; axis < shape.length; axis++)
      at += (Math.floor(i / places[axis]) % shape[axis]) * strides[axis];
    return data[at];
  });
}

/** Products of [.., m, k] and [k, n] or the like, summed in double precision. */
const product: Evaluate = ([a, b], { inputs: [x, w], outputs: [y], attrs: { ta, tb } }) => {
  const [m, n] = y.shape.slice(-2);
  const k = ta ? x.shape.at(-2)! : x.shape.at(-1)!;
  const shared = w.shape.length === 2;
  const [rowOfA, stepOfA] = ta ? [1, m] : [k, 1];
  const [columnOfB, stepOfB] = tb ? [k, 1] : [1, n];
  const out = new Float32Array(sizeOf(y.shape));
  for (let i = 0; i < out.length; i++) {
    const batch = Math.floor(i / (m * n));
    const from = batch * m * k + (Math.floor(i / n) % m) * rowOfA;
    const with_ = (shared ? 0 : batch * k * n) + (i % n) * columnOfB;
    let sum = 0;
    for (let e = 0; e < k; e++) sum += a[from + e * stepOfA] * b[with_ + e * stepOfB];
    out[i] = sum;
  }
  return out;
};

/** Operations that are computed here where all that they read is known. */
const evaluators: Readonly<Record<string, Evaluate>> = {
  add: binary((a, b) => a + b),
  sub: binary((a, b) => a - b),
  mul: binary((a, b) => a * b),
  div: binary((a, b) => a / b),
  neg: unary((x) => -x),
  exp: unary(Math.exp),
  sqrt: unary(Math.sqrt),
  rsqrt: unary((x) => 1 / Math.sqrt(x)),
  matmul: product,
  reshape: ([x]) => x,
  stopGradient: ([x]) => x,
  transpose: ([x], { inputs: [from], outputs: [y], attrs }) => {
    const strides = stridesOf(from.shape);
    return gathered(
      x,
      y.shape,
      (attrs.perm as number[]).map((p) => strides[p]),
    );
  },
  broadcast: ([x], { inputs: [from], outputs: [y] }) => spread(x, from.shape, y.shape),
  sum: ([x], { attrs: { outer, reduced, inner } }) =>
    Float32Array.from({ length: outer * inner }, (_, i) => {
      let sum = 0;
      const base = Math.floor(i / inner) * reduced * inner + (i % inner);
      for (let r = 0; r < reduced; r++) sum += x[base + r * inner];
      return sum;
    }),
  fill: (_, { outputs: [y], attrs }) => new Float32Array(sizeOf(y.shape)).fill(attrs.value as number),
};

/** Operations that only move elements: nothing is won by computing them alone. */
const moving = new Set(['reshape', 'transpose', 'broadcast', 'fill']);

export interface FoldOptions {
  read: ReadParameter;
  /** Inputs whose values are fixed. */
  fixed: ReadonlyMap<Tensor, Float32Array>;
  /** Whether an axis grows with an open batch. */
  isOpen(n: number): boolean;
}

/** The values that depend on weights and constants alone and take arithmetic, as far out as they go. */
export async function foldStatic(
  outputs: readonly Tensor[],
  options: FoldOptions,
): Promise<Map<Tensor, Float32Array>> {
  const kinds = kindsOf(outputs, options);
  const wanted = new Set<Tensor>();
  const want = (t: Tensor) => {
    let root = t;
    // Layouts stay operations of the file, so that a convolution's weight is found behind them.
    while (kinds.get(root) === 'computed' && ['reshape', 'transpose'].includes(root.node.op.name))
      root = root.node.inputs[0];
    if (kinds.get(root) === 'computed') wanted.add(root);
  };
  outputs.forEach(want);
  for (const node of nodesOf(outputs)) if (node.outputs.some((t) => !kinds.has(t))) node.inputs.forEach(want);
  return evaluate([...wanted], options);
}

/** Values known beforehand: `given` or only moved about, or `computed`. Others are left out. */
function kindsOf(outputs: readonly Tensor[], { fixed, isOpen }: FoldOptions) {
  const kinds = new Map<Tensor, 'given' | 'computed'>();
  for (const node of nodesOf(outputs)) {
    const [y] = node.outputs;
    const real = y.dtype !== 'i32' && y.dtype !== 'u32';
    if (((isParameter(y) || isConstant(y)) && real) || fixed.has(y)) kinds.set(y, 'given');
    else if (
      Object.hasOwn(evaluators, node.op.name) &&
      node.inputs.every((t) => kinds.has(t)) &&
      !y.shape.some(isOpen) &&
      productsOf(node) <= MOST_PRODUCTS
    ) {
      const moved = moving.has(node.op.name) && node.inputs.every((t) => kinds.get(t) === 'given');
      kinds.set(y, moved ? 'given' : 'computed');
    }
  }
  return kinds;
}

const productsOf = ({ op, inputs: [a], outputs: [y], attrs }: Node) =>
  op.name === 'matmul' ? sizeOf(y.shape) * (attrs.ta ? a.shape.at(-2)! : a.shape.at(-1)!) : 0;

async function evaluate(
  wanted: readonly Tensor[],
  { read, fixed }: FoldOptions,
): Promise<Map<Tensor, Float32Array>> {
  const values = new Map<Tensor, Float32Array>();
  for (const node of nodesOf(wanted)) {
    const [y] = node.outputs;
    const given = fixed.get(y);
    if (given) values.set(y, given);
    else if (isConstant(y)) values.set(y, (node.attrs as ConstantAttrs).data as Float32Array);
    else if (isParameter(y)) values.set(y, widened(await read((node.attrs as ParameterAttrs).name)));
    else
      values.set(
        y,
        evaluators[node.op.name](
          node.inputs.map((t) => values.get(t)!),
          node,
        ),
      );
  }
  return new Map(wanted.map((t) => [t, values.get(t)!]));
}

function widened(data: Float32Array | Uint8Array): Float32Array {
  return data instanceof Float32Array ? data : halvesToFloats(new Uint16Array(new Uint8Array(data).buffer));
}
