import type { ByteSource } from './bytes.ts';
import { type DType, dtypeBits } from './dtypes.ts';
import { CheckpointError } from './errors.ts';
import { type Json, parseStrict } from './strictJson.ts';

/** One tensor of a checkpoint; `begin` and `end` are byte offsets in its file. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

/** The format's own cap on the header, 100 MB. */
const maxHeader = 100_000_000;

export interface Header {
  readonly tensors: Map<string, TensorInfo>;
  readonly metadata: Map<string, string>;
}

/**
 * Reads and checks a safetensors header: length, JSON without duplicate keys, known dtypes, size = shape x dtype,
 * and offsets that cover the data from first byte to last with neither gap nor overlap.
 * Throws `CheckpointError` naming the file and the tensor.
 */
export async function readHeader(source: ByteSource, file: string): Promise<Header> {
  const fail = (what: string): never => {
    throw new CheckpointError(file, `${what} The file is damaged or not a safetensors file; fetch it again.`);
  };
  if (source.size < 8)
    fail(`it has ${source.size} bytes, fewer than the 8 that a safetensors file begins with.`);
  const first = await source.read(0, 8);
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeader)) fail(`its header claims ${length} bytes, above the format's 100 MB.`);
  const dataStart = 8 + Number(length);
  if (dataStart > source.size) fail(`its header claims ${length} bytes but the file has ${source.size}.`);
  const root = parseHeader(await source.read(8, dataStart), fail);
  const metadata = readMetadata(root.get('__metadata__'), fail);
  root.delete('__metadata__');
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of root) tensors.set(name, readEntry(name, entry, dataStart, source.size, fail));
  checkCover([...tensors.values()], dataStart, source.size, fail);
  return { tensors, metadata };
}

type Fail = (what: string) => never;

function parseHeader(bytes: Uint8Array, fail: Fail): Map<string, Json> {
  if (bytes[0] !== 0x7b) fail('its header does not begin with "{".');
  try {
    const parsed = parseStrict(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (parsed instanceof Map) return parsed;
  } catch (error) {
    fail(`its header is not valid JSON (${(error as Error).message}).`);
  }
  return fail('its header is not a JSON object.');
}

function readMetadata(entry: Json | undefined, fail: Fail): Map<string, string> {
  const metadata = new Map<string, string>();
  if (entry === undefined) return metadata;
  if (!(entry instanceof Map)) return fail('its __metadata__ is not an object.');
  for (const [key, value] of entry) {
    if (typeof value !== 'string') fail(`its metadata "${key}" is not a string.`);
    metadata.set(key, value as string);
  }
  return metadata;
}

function isSize(value: Json): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function readEntry(name: string, entry: Json, dataStart: number, fileSize: number, fail: Fail): TensorInfo {
  if (!(entry instanceof Map)) return fail(`tensor "${name}" is not described by an object.`);
  const unknown = [...entry.keys()].find((key) => !['dtype', 'shape', 'data_offsets'].includes(key));
  if (unknown !== undefined) fail(`tensor "${name}" has an unknown field "${unknown}".`);
  const dtype = entry.get('dtype');
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeBits, dtype)) {
    return fail(`tensor "${name}" has the unknown dtype ${JSON.stringify(dtype)}.`);
  }
  const shape = entry.get('shape');
  if (!Array.isArray(shape) || !shape.every(isSize)) return fail(`tensor "${name}" has no valid shape.`);
  const offsets = entry.get('data_offsets');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return fail(`tensor "${name}" has no valid data_offsets.`);
  }
  const [begin, end] = offsets;
  if (begin > end || dataStart + end > fileSize) {
    fail(
      `tensor "${name}" lies at bytes ${begin} to ${end}, outside the ${fileSize - dataStart} bytes of data.`,
    );
  }
  // BigInt, because a product of sizes may pass 2^53 on its way and come back plausible.
  const bits = shape.reduce((product, size) => product * BigInt(size), BigInt(dtypeBits[dtype as DType]));
  if (bits !== BigInt(end - begin) * 8n) {
    fail(`tensor "${name}" is ${dtype} [${shape.join(', ')}] but has ${end - begin} bytes.`);
  }
  return { name, dtype: dtype as DType, shape, begin: dataStart + begin, end: dataStart + end };
}

/** Overlap is how a few megabytes once named the same bytes a million times; a gap can hide anything. */
function checkCover(tensors: TensorInfo[], dataStart: number, fileSize: number, fail: Fail): void {
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = dataStart;
  for (const { name, begin, end } of tensors) {
    if (begin < covered) fail(`tensor "${name}" overlaps the one before it.`);
    if (begin > covered) fail(`${begin - covered} bytes before tensor "${name}" belong to no tensor.`);
    covered = end;
  }
  if (covered !== fileSize) fail(`the last ${fileSize - covered} bytes belong to no tensor.`);
}
