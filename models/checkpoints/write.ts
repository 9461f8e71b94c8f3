import { type DType, dtypeBits, floatsToHalves } from './dtypes.ts';

/**
 * A tensor to write, row-major. Numbers as `Float32Array` go out as `dtype` F32 (default) or F16, `Int32Array` as
 * I32; any other dtype is given as its own little-endian bytes, in a `Uint8Array` or `Uint16Array`.
 */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype?: DType;
  readonly data: Float32Array | Int32Array | Uint16Array | Uint8Array;
}

function encode({ name, shape, dtype, data }: TensorToWrite): { dtype: DType; bytes: Uint8Array } {
  const type = dtype ?? (data instanceof Int32Array ? 'I32' : 'F32');
  const elements = data instanceof Float32Array && type === 'F16' ? floatsToHalves(data) : data;
  const bytes = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
  const expected = shape.reduce((product, size) => product * size, dtypeBits[type] / 8);
  if (bytes.length !== expected) {
    throw new RangeError(
      `Tensor "${name}" is ${type} [${shape.join(', ')}], ${expected} bytes, but its data has ${bytes.length}.`,
    );
  }
  return { dtype: type, bytes };
}

/**
 * A safetensors file. Same tensors and metadata, same bytes: wider dtypes first and names in code-point order
 * within a width, so that every tensor is aligned; the header is padded to 8 bytes.
 * Throws `RangeError` where a shape and its data differ, or two tensors share a name.
 */
export function writeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const encoded = tensors.map((tensor) => ({ ...tensor, ...encode(tensor) }));
  encoded.sort((a, b) => dtypeBits[b.dtype] - dtypeBits[a.dtype] || (a.name < b.name ? -1 : 1));
  const header: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) {
    const members = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
    header.push(`"__metadata__":{${members.join(',')}}`);
  }
  let size = 0;
  const seen = new Set(['__metadata__']);
  for (const { name, dtype, shape, bytes } of encoded) {
    if (seen.has(name))
      throw new RangeError(`Two tensors are named "${name}"; a safetensors file may hold each name once.`);
    seen.add(name);
    const entry = { dtype, shape, data_offsets: [size, size + bytes.length] };
    header.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    size += bytes.length;
  }
  const json = new TextEncoder().encode(`{${header.join(',')}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + padded + size).fill(0x20, 8 + json.length, 8 + padded);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(json, 8);
  let at = 8 + padded;
  for (const { bytes } of encoded) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}
