import type { ByteSource } from './bytes.ts';
import { type DType, dtypeBits, toFloat32 } from './dtypes.ts';
import { CheckpointError } from './errors.ts';
import { firstNotFinite } from './finite.ts';
import { readHeader, type TensorInfo } from './header.ts';
import { parseStrict } from './strictJson.ts';

/** A tensor and the file it lies in; `info` has its place there. */
export interface StoredTensor {
  readonly info: TensorInfo;
  readonly source: ByteSource;
  readonly file: string;
}

/** Part of a tensor as it lies in the file; `at` is its first element, row-major. */
export interface Piece {
  readonly at: number;
  readonly dtype: DType;
  readonly bytes: Uint8Array;
}

/** Largest part of a tensor that is in memory at once, in bytes. */
const pieceBytes = 16 * 2 ** 20;

/** What stands behind the name of an I8 tensor in that of its scales. */
const SCALE = '_scale';
const scaleOf = (name: string) => name + SCALE;

/** Named tensors read by range from one file or several shards; nothing is loaded until asked for. */
export class Checkpoint {
  /** The header's own strings; of a sharded checkpoint, those of all shards, the first to name a key winning. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;

  constructor(tensors: ReadonlyMap<string, StoredTensor>, metadata: ReadonlyMap<string, string>) {
    this.#tensors = tensors;
    this.metadata = metadata;
  }

  /** All names, in the order of the file's header; scales belong to their tensors and are not among them. */
  names(): string[] {
    return [...this.#tensors.keys()].filter((name) => !this.#isScale(name));
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Every tensor with its file. */
  stored(): Iterable<[string, StoredTensor]> {
    return this.#tensors.entries();
  }

  /** Dtype, shape and place of a tensor. Throws `CheckpointError` where there is none of that name. */
  info(name: string): TensorInfo {
    return this.#get(name).info;
  }

  /** The file that a tensor lies in, as the person knows it. */
  fileOf(name: string): string {
    return this.#get(name).file;
  }

  /** A tensor's bytes as they lie in the file, little-endian, row-major. */
  async bytes(name: string): Promise<Uint8Array> {
    const { info, source, file } = this.#get(name);
    const bytes = await source.read(info.begin, info.end);
    if (bytes.length !== info.end - info.begin) {
      throw new CheckpointError(
        file,
        `reading "${name}" gave ${bytes.length} of ${info.end - info.begin} bytes; the file changed since it was opened, open it again.`,
      );
    }
    return bytes;
  }

  /**
   * Elements `from` (included) to `to` (excluded) of a weight, piece by piece. Throws `CheckpointError` where one of
   * them is not a finite number: such a weight makes every output NaN.
   */
  async *pieces(name: string, from: number, to: number): AsyncGenerator<Piece> {
    const { info, source, file } = this.#get(name);
    const width = dtypeBits[info.dtype] / 8;
    const step = Math.floor(pieceBytes / width);
    for (let at = from; at < to; at += step) {
      const end = Math.min(to, at + step);
      const bytes = await source.read(info.begin + at * width, info.begin + end * width);
      if (bytes.length !== (end - at) * width)
        throw new CheckpointError(file, `reading "${name}" gave too few bytes; open the file again.`);
      const bad = firstNotFinite(info.dtype, bytes);
      if (bad !== undefined)
        throw new CheckpointError(
          file,
          `tensor "${name}" holds NaN or infinity at element ${at + bad}, so the model can compute nothing; use another checkpoint.`,
        );
      yield { at, dtype: info.dtype, bytes };
    }
  }

  /**
   * A tensor's elements as f32 (F16, BF16, F64 and integers up to 32 bits are converted), row-major, a fresh copy. An
   * I8 tensor `x` with a tensor `x_scale` beside it, one number for each index of the first axis, stands for their
   * product, as the compressed-tensors format has it.
   */
  async f32(name: string): Promise<Float32Array> {
    const { info, file } = this.#get(name);
    const floats = toFloat32(info.dtype, await this.bytes(name));
    if (floats && this.#hasScale(name)) return this.#scaled(name, floats);
    if (floats) return floats;
    throw new CheckpointError(
      file,
      `tensor "${name}" is ${info.dtype}, which is not read as f32; save it as F32, F16 or BF16.`,
    );
  }

  #hasScale(name: string): boolean {
    return this.#tensors.get(name)?.info.dtype === 'I8' && this.#tensors.has(scaleOf(name));
  }

  #isScale(name: string): boolean {
    return name.endsWith(SCALE) && this.#hasScale(name.slice(0, -SCALE.length));
  }

  async #scaled(name: string, codes: Float32Array): Promise<Float32Array> {
    const { info, file } = this.#get(name);
    const scales = await this.f32(scaleOf(name));
    if (scales.length !== info.shape[0])
      throw new CheckpointError(
        file,
        `tensor "${scaleOf(name)}" has ${scales.length} scales for the ${info.shape[0]} rows of "${name}"; the file is damaged.`,
      );
    const row = codes.length / scales.length;
    for (let i = 0; i < codes.length; i++) codes[i] *= scales[Math.floor(i / row)];
    return codes;
  }

  #get(name: string): StoredTensor {
    const stored = this.#tensors.get(name);
    if (stored) return stored;
    const file = this.#tensors.values().next().value?.file ?? 'checkpoint';
    throw new CheckpointError(file, `it has no tensor "${name}" among its ${this.#tensors.size}.`);
  }
}

/** Opens a safetensors file: reads and checks its header only. `file` names it in errors. */
export async function readSafetensors(source: ByteSource, file = 'model.safetensors'): Promise<Checkpoint> {
  const { tensors, metadata } = await readHeader(source, file);
  return new Checkpoint(
    new Map([...tensors].map(([name, info]) => [name, { info, source, file }])),
    metadata,
  );
}

/**
 * Opens a sharded checkpoint by its `model.safetensors.index.json`. `open` gives a shard by the name the index uses,
 * or undefined. Every name of the index must lie in the shard it points to, and no shard may hold another.
 */
export function readSharded(
  index: Uint8Array,
  open: (shard: string) => ByteSource | undefined,
  file = 'model.safetensors.index.json',
): Promise<Checkpoint> {
  return joinShards(index, open, readSafetensors, file);
}

/** `readSharded` over shards of any format, each opened by `read`. */
export async function joinShards(
  index: Uint8Array,
  open: (shard: string) => ByteSource | undefined,
  read: (source: ByteSource, file: string) => Promise<Checkpoint>,
  file: string,
): Promise<Checkpoint> {
  const weightMap = readWeightMap(index, file);
  const tensors = new Map<string, StoredTensor>();
  const metadata = new Map<string, string>();
  for (const shard of new Set(weightMap.values())) {
    const source = open(shard);
    if (!source)
      throw new CheckpointError(file, `it names the shard "${shard}", which is not there; add that file.`);
    const part = await read(source, shard);
    for (const [key, value] of part.metadata) if (!metadata.has(key)) metadata.set(key, value);
    for (const [name, tensor] of part.stored()) {
      if (weightMap.get(name) !== shard) {
        throw new CheckpointError(
          shard,
          `it holds "${name}", which ${file} does not place there; the files do not belong together.`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  for (const [name, shard] of weightMap) {
    if (!tensors.has(name)) {
      throw new CheckpointError(
        shard,
        `"${name}" is missing, though ${file} places it there; fetch the file again.`,
      );
    }
  }
  return new Checkpoint(tensors, metadata);
}

function readWeightMap(index: Uint8Array, file: string): Map<string, string> {
  let parsed: ReturnType<typeof parseStrict>;
  try {
    parsed = parseStrict(new TextDecoder('utf-8', { fatal: true }).decode(index));
  } catch (error) {
    throw new CheckpointError(file, `it is not valid JSON (${(error as Error).message}); fetch it again.`);
  }
  const map = parsed instanceof Map ? parsed.get('weight_map') : undefined;
  if (!(map instanceof Map) || ![...map.values()].every((shard) => typeof shard === 'string')) {
    throw new CheckpointError(file, 'it has no weight_map from tensor names to files; fetch it again.');
  }
  return map as Map<string, string>;
}
