/** Bits per element of every dtype that safetensors names. */
export const dtypeBits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type DType = keyof typeof dtypeBits;

const scratch = new DataView(new ArrayBuffer(4));

/** IEEE half bits to a number; subnormals, infinities and NaN included. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A number to IEEE half bits, rounded to nearest even from its f32 value; overflow gives infinity. */
export function floatToHalf(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 255;
  const fraction = bits & 0x7fffff;
  if (exponent === 255) return sign | 0x7c00 | (fraction ? 0x200 : 0);
  const shifted = exponent - 112;
  if (shifted >= 31) return sign | 0x7c00;
  // Below the normal range the implicit one becomes explicit and moves right with the rest.
  const drop = shifted > 0 ? 13 : 14 - shifted;
  if (drop > 24) return sign;
  const whole = shifted > 0 ? (shifted << 23) | fraction : fraction | 0x800000;
  const kept = Math.floor(whole / 2 ** drop);
  const rest = whole - kept * 2 ** drop;
  const half = 2 ** (drop - 1);
  // A carry out of the fraction runs into the exponent, which is the right result, up to infinity.
  return sign | (kept + (rest > half || (rest === half && kept & 1) ? 1 : 0));
}

let halfTable: Float32Array | undefined;

/** Half bits to f32, by a table of all 65,536 values made at first use. */
export function halvesToFloats(halves: Uint16Array): Float32Array {
  halfTable ??= Float32Array.from({ length: 65536 }, (_, bits) => halfToFloat(bits));
  const out = new Float32Array(halves.length);
  for (let i = 0; i < out.length; i++) out[i] = halfTable[halves[i]];
  return out;
}

/** f32 to half bits, element by element. */
export function floatsToHalves(floats: ArrayLike<number>): Uint16Array {
  const out = new Uint16Array(floats.length);
  for (let i = 0; i < out.length; i++) out[i] = floatToHalf(floats[i]);
  return out;
}

/** bfloat16 bits to f32: the upper half of an f32. */
export function bfloatsToFloats(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < out.length; i++) out[i] = bits[i] << 16;
  return new Float32Array(out.buffer);
}

/** Little-endian bytes of a dtype to f32, or undefined where the dtype has no plain f32 meaning. */
export function toFloat32(dtype: DType, bytes: Uint8Array): Float32Array | undefined {
  // A copy where the offset is not aligned, as typed arrays want it; not by slice(), which gives a view on Node's Buffers.
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
  const { buffer, byteOffset: at } = aligned;
  const count = Math.floor((aligned.length * 8) / dtypeBits[dtype]);
  switch (dtype) {
    case 'F32':
      // A copy: the bytes may be a view of memory that others read.
      return new Float32Array(buffer, at, count).slice();
    case 'F16':
      return halvesToFloats(new Uint16Array(buffer, at, count));
    case 'BF16':
      return bfloatsToFloats(new Uint16Array(buffer, at, count));
    case 'F64':
      return Float32Array.from(new Float64Array(buffer, at, count));
    case 'I8':
      return Float32Array.from(new Int8Array(buffer, at, count));
    case 'U8':
    case 'BOOL':
      return Float32Array.from(new Uint8Array(buffer, at, count));
    case 'I16':
      return Float32Array.from(new Int16Array(buffer, at, count));
    case 'U16':
      return Float32Array.from(new Uint16Array(buffer, at, count));
    case 'I32':
      return Float32Array.from(new Int32Array(buffer, at, count));
    case 'U32':
      return Float32Array.from(new Uint32Array(buffer, at, count));
    default:
      return undefined;
  }
}
