import type { ByteSource } from './bytes.ts';

/** What a file of weights is, told by its first bytes (and its name, where the bytes alone do not say). */
export type WeightsKind = 'safetensors' | 'pickle' | 'gguf' | 'hdf5' | 'onnx' | 'unknown';

const startsWith = (bytes: Uint8Array, prefix: readonly number[]) =>
  prefix.every((byte, i) => bytes[i] === byte);

/**
 * Tells pickles from safetensors and other formats. A PyTorch file is a zip whose first entry is `.../data.pkl`, or a bare pickle of protocol 2 to 5.
 */
export async function weightsKind(source: ByteSource, name: string): Promise<WeightsKind> {
  const head = await source.read(0, Math.min(source.size, 256));
  if (startsWith(head, [0x50, 0x4b, 3, 4])) {
    const nameLength = head[26] | (head[27] << 8);
    const first = new TextDecoder().decode(head.subarray(30, 30 + nameLength));
    if (/(^|\/)(data\.pkl|\.format_version|byteorder|version)$/.test(first) || isPickleName(name))
      return 'pickle';
  }
  if (head[0] === 0x80 && head[1] >= 2 && head[1] <= 5) return 'pickle';
  if (startsWith(head, [0x47, 0x47, 0x55, 0x46])) return 'gguf';
  if (startsWith(head, [0x89, 0x48, 0x44, 0x46])) return 'hdf5';
  if (head.length >= 9 && head[8] === 0x7b) return 'safetensors';
  if (/\.onnx$/i.test(name)) return 'onnx';
  return isPickleName(name) ? 'pickle' : 'unknown';
}

function isPickleName(name: string): boolean {
  return /\.(bin|pt|pth|ckpt|pkl|pickle)$/i.test(name);
}
