import type { Op } from './op.ts';

/**
 * f16, int8 and nf4 are storage types: kernels unpack them to f32 as they read, and nothing is computed in them. The
 * last two are for frozen leaves (`quantise.ts`).
 */
export type DType = 'f32' | 'f16' | 'i32' | 'u32' | QuantisedDType;

/** int8: a scale for each index of the first axis; nf4: four bits a value, a scale for 64 of them. */
export type QuantisedDType = 'int8' | 'nf4';

export const isQuantised = (dtype: DType): dtype is QuantisedDType => dtype === 'int8' || dtype === 'nf4';

export type Shape = readonly number[];

export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** A traced value: the `output`-th result of a node. It holds no data; programs give it a place in memory. */
export interface Tensor extends TensorType {
  readonly node: Node;
  readonly output: number;
}

/** One traced operation. Ids grow in trace order, so sorting by id is a topological order. */
export interface Node {
  readonly id: number;
  // Attributes are as various as operations are; each operation's own functions are typed.
  // biome-ignore lint/suspicious/noExplicitAny: heterogeneous by nature, typed where an op is defined
  readonly op: Op<any>;
  readonly inputs: readonly Tensor[];
  // biome-ignore lint/suspicious/noExplicitAny: see `op`
  readonly attrs: any;
  readonly outputs: readonly Tensor[];
}

let nextId = 0;

/** Records `op` on `inputs` and returns its outputs. Throws `ShapeError` where the shapes do not fit. */
export function trace<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor[] {
  const outputs: Tensor[] = [];
  const node: Node = { id: nextId++, op, inputs, attrs, outputs };
  op.infer(inputs, attrs).forEach((type, output) => {
    outputs.push({ shape: type.shape, dtype: type.dtype, node, output });
  });
  return outputs;
}

/** Shapes or types that an operation cannot take. */
export class ShapeError extends Error {
  override name = 'ShapeError';
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((a, b) => a * b, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** Bytes a tensor takes in a buffer; f16 is packed two to a word, quantised values are followed by their scales. */
export function byteSize(type: TensorType): number {
  if (isQuantised(type.dtype)) return 4 * packedLayout(type).words;
  const n = sizeOf(type.shape);
  return type.dtype === 'f16' ? Math.ceil(n / 2) * 4 : n * 4;
}

/** Values of a group that shares a scale in NF4. */
const NF4_GROUP = 64;

/** How a quantised tensor lies in its buffer: words of codes, lowest bits first, then an f32 scale for `per` values each. */
export interface PackedLayout {
  codeWords: number;
  words: number;
  per: number;
}

export function packedLayout({ shape, dtype }: TensorType): PackedLayout {
  const n = sizeOf(shape);
  const int8 = dtype === 'int8';
  const per = int8 ? n / shape[0] : NF4_GROUP;
  const codeWords = Math.ceil(n / (int8 ? 4 : 8));
  return { codeWords, words: codeWords + Math.ceil(n / per), per };
}

/** The shape that two shapes broadcast to (NumPy's rule). */
export function broadcastShapes(...shapes: Shape[]): Shape {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, i) => {
    let dim = 1;
    for (const s of shapes) {
      const n = s[s.length - rank + i] ?? 1;
      if (n !== 1 && dim !== 1 && n !== dim)
        throw new ShapeError(`Shapes ${shapes.map((x) => `[${x}]`).join(' and ')} do not broadcast.`);
      if (n !== 1) dim = n;
    }
    return dim;
  });
}

export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let n = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = n;
    n *= shape[i];
  }
  return strides;
}

/** Every node that `outputs` depend on, in topological order. `stop` ends the walk at values it holds. */
export function nodesOf(outputs: readonly Tensor[], stop?: (t: Tensor) => boolean): Node[] {
  const seen = new Set<Node>();
  const stack = outputs.filter((t) => !stop?.(t)).map((t) => t.node);
  while (stack.length) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const t of node.inputs) if (!stop?.(t)) stack.push(t.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
