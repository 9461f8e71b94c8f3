import { type DType, dequantise, QuantiseError, quantise, type Shape, sizeOf } from '../gpu-shaders/index.ts';
import { floatsToHalves, halvesToFloats } from './checkpoints/dtypes.ts';

/** The forms in which a run may hold its frozen weights, as the setting `weights` names them. */
export const weightForms = ['as stored', 'f16', 'int8', 'nf4'] as const;
export type WeightForm = (typeof weightForms)[number];

/** The types that a frozen leaf may have. */
export type FrozenDType = Exclude<DType, 'i32' | 'u32'>;

/** Elements from which on a matrix that no layer multiplies by is a table worth quantising. */
const TABLE = 65536;

/** What a parameter is, as far as the choice of its type goes. */
export interface FrozenKind {
  shape: Shape;
  /** Type in which the checkpoint's own precision is kept. */
  stored: 'f32' | 'f16';
  /** Whether it is the weight of a linear layer or of a convolution that is not in groups. */
  layer: boolean;
}

/**
 * The type of a frozen parameter under a form. Vectors (norms, biases) stay as they are. Weights of layers take the form;
 * large tables, embeddings among them, take int8 under either quantised form, since a row is read by itself; convolutions
 * in groups stay, because their kernel reads a copy in another order, which would lie beside the packed one.
 */
export function frozenDType(form: WeightForm, { shape, stored, layer }: FrozenKind): FrozenDType {
  if (form === 'as stored' || shape.length < 2) return stored;
  if (form === 'f16') return 'f16';
  if (layer) return form;
  return shape.length === 2 && sizeOf(shape) >= TABLE ? 'int8' : stored;
}

/** A frozen parameter's values as a leaf of that type holds them. Throws `QuantiseError`, naming it by its path. */
export function packed(
  path: string,
  values: Float32Array,
  type: { shape: Shape; dtype: FrozenDType },
): Float32Array | Uint8Array | Uint32Array {
  if (type.dtype === 'f32') return values;
  if (type.dtype === 'f16') return new Uint8Array(halvesOf(path, values).buffer);
  try {
    return quantise(values, type);
  } catch (error) {
    if (error instanceof QuantiseError) throw new QuantiseError(`The weight '${path}': ${error.message}`);
    throw error;
  }
}

/** What a leaf of that type makes of the values: what kernels compute with. */
export function rounded(
  path: string,
  values: Float32Array,
  type: { shape: Shape; dtype: FrozenDType },
): Float32Array {
  if (type.dtype === 'f32') return values;
  if (type.dtype === 'f16') return halvesToFloats(halvesOf(path, values));
  return dequantise(packed(path, values, type) as Uint32Array, type);
}

/** The largest number of f16. */
const LARGEST = 65504;

function halvesOf(path: string, values: Float32Array): Uint16Array<ArrayBuffer> {
  const beyond = values.find((v) => Math.abs(v) > LARGEST);
  if (beyond !== undefined)
    throw new QuantiseError(`The weight '${path}' holds ${beyond}, which f16 cannot. Choose another form.`);
  return floatsToHalves(values) as Uint16Array<ArrayBuffer>;
}
