import type { Op } from './op.ts';
import { type DType, type Shape, sizeOf, type Tensor, trace } from './tensor.ts';

export interface ParameterAttrs {
  name: string;
  shape: Shape;
  dtype: DType;
  /** Trainable parameters lie in one flat buffer with their gradients and moments beside them. */
  trainable: boolean;
  /** Not trained, but rewritten between steps now and then (a mask, a basis): nothing that reads it may be cached. */
  mutable: boolean;
  /** This leaf is a part of the stored tensor of that name. */
  band?: Band;
}

/** Where a part of a stored tensor begins, in bytes. */
export interface Band {
  offset: number;
}

const parameterOp: Op<ParameterAttrs> = {
  name: 'parameter',
  infer: (_, a) => [{ shape: a.shape, dtype: a.dtype }],
  lower: { kind: 'leaf' },
};

/** A named persistent tensor: a frozen weight, a trainable leaf, or one that is rewritten between steps. */
export function parameter(
  name: string,
  shape: Shape,
  {
    dtype = 'f32',
    trainable = false,
    mutable = false,
  }: { dtype?: DType; trainable?: boolean; mutable?: boolean } = {},
): Tensor {
  return trace(parameterOp, [], { name, shape, dtype, trainable, mutable })[0];
}

/** A part of a frozen parameter's elements, from a byte offset on, as a leaf of its own. */
export function bandOf(whole: Tensor, shape: Shape, band: Band): Tensor {
  return trace(parameterOp, [], { ...(whole.node.attrs as ParameterAttrs), shape, band })[0];
}

export interface InputAttrs {
  name: string;
  shape: Shape;
  dtype: DType;
  /** True when it holds samples (first axis = batch) and nothing else: what depends on it and on frozen weights
   * alone can be computed once per sample and cached. */
  sample: boolean;
  /** True when copies on the GPU fill it bit by bit over many runs, so that nothing else may write it. */
  resident?: boolean;
}

const inputOp: Op<InputAttrs> = {
  name: 'input',
  infer: (_, a) => [{ shape: a.shape, dtype: a.dtype }],
  lower: { kind: 'leaf' },
};

/** A value given anew at each run. */
export function input(
  name: string,
  shape: Shape,
  {
    dtype = 'f32',
    sample = false,
    resident,
  }: Partial<Pick<InputAttrs, 'dtype' | 'sample' | 'resident'>> = {},
): Tensor {
  return trace(inputOp, [], { name, shape, dtype, sample, ...(resident ? { resident } : {}) })[0];
}

export interface ConstantAttrs {
  shape: Shape;
  dtype: DType;
  data: Float32Array | Uint32Array | Int32Array;
}

const constantOp: Op<ConstantAttrs> = {
  name: 'constant',
  infer: (_, a) => [{ shape: a.shape, dtype: a.dtype }],
  lower: { kind: 'leaf' },
};

/** Data fixed at trace time. */
export function constant(data: ConstantAttrs['data'], shape: Shape): Tensor {
  if (data.length !== sizeOf(shape))
    throw new RangeError(`constant: ${data.length} values for shape [${shape}].`);
  const dtype = data instanceof Float32Array ? 'f32' : data instanceof Uint32Array ? 'u32' : 'i32';
  return trace(constantOp, [], { shape, dtype, data })[0];
}

export function isParameter(t: Tensor): boolean {
  return t.node.op === parameterOp;
}
export function isInput(t: Tensor): boolean {
  return t.node.op === inputOp;
}
export function isConstant(t: Tensor): boolean {
  return t.node.op === constantOp;
}
export function isTrainable(t: Tensor): boolean {
  return isParameter(t) && (t.node.attrs as ParameterAttrs).trainable;
}
/** A persistent tensor whose value never changes. */
export function isFrozen(t: Tensor): boolean {
  if (!isParameter(t)) return false;
  const { trainable, mutable } = t.node.attrs as ParameterAttrs;
  return !trainable && !mutable;
}
