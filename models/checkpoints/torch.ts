import { DataError } from '../data/errors.ts';
import { readDirectory, type ZipRecord } from '../data/zipDirectory.ts';
import type { ByteSource } from './bytes.ts';
import { Checkpoint, type StoredTensor } from './checkpoint.ts';
import { type DType, dtypeBits } from './dtypes.ts';
import { CheckpointError } from './errors.ts';
import { strided, type View } from './strided.ts';
import {
  Built,
  Named,
  orderedDict,
  PickleCutError,
  type Pickled,
  PickleError,
  Stored,
  Tuple,
  unpickle,
} from './unpickle.ts';

/** Kinds of storages by the name of their class. */
const storages = new Map<string, DType>([
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.DoubleStorage', 'F64'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
]);

const rebuild = 'torch._utils._rebuild_tensor';
const rebuild2 = 'torch._utils._rebuild_tensor_v2';
const parameter = 'torch._utils._rebuild_parameter';

/** All that a file of tensors needs to name. Nothing here is ever called: a name says how to read what stands beside it. */
const allowed: ReadonlySet<string> = new Set([
  orderedDict,
  rebuild,
  rebuild2,
  parameter,
  'torch.Size',
  ...storages.keys(),
]);

/** Where the numbers of a storage lie. */
interface Place {
  readonly source: ByteSource;
  /** Bytes. */
  readonly length: number;
  /** First byte, once it is known. */
  begin(): Promise<number>;
}

/** Keys under which training scripts keep the weights among other things. */
const wrappers = ['state_dict', 'model_state_dict', 'model', 'module', 'net', 'ema', 'params'];
/** A pickle of names and shapes is far smaller. */
const maxPickle = 128_000_000;
const zipStart = [0x50, 0x4b, 3, 4];

/**
 * Opens what `torch.save` wrote, in either of its formats, as named tensors read by range. No code in it runs: a
 * pickle that names anything but tensors is refused by that name. Throws `CheckpointError`.
 */
export async function readTorch(source: ByteSource, file: string): Promise<Checkpoint> {
  try {
    const head = await source.read(0, Math.min(4, source.size));
    const { value, places } = zipStart.every((byte, i) => head[i] === byte)
      ? await readZipped(source, file)
      : await readPlain(source, file);
    const tensors = new Map<string, StoredTensor>();
    for (const [name, tensor] of stateDict(value))
      tensors.set(name, stored(name, tensor, places, source, file));
    if (tensors.size === 0) throw new PickleError('it holds no tensor under a name');
    return new Checkpoint(tensors, new Map([['format', 'pt']]));
  } catch (error) {
    if (error instanceof PickleCutError)
      throw new CheckpointError(file, `${error.message}. The file is cut short, fetch it again.`);
    if (error instanceof PickleError)
      throw new CheckpointError(
        file,
        `${error.message}. Only files of named tensors are read; save the model’s state_dict() alone, best as safetensors.`,
      );
    if (error instanceof DataError) throw new CheckpointError(file, `${error.reason}.`);
    throw error;
  }
}

type Places = ReadonlyMap<string, Place>;

/** A zip of `data.pkl` and a file for each storage, none of them packed. */
async function readZipped(source: ByteSource, file: string): Promise<{ value: Pickled; places: Places }> {
  const records = await readDirectory(source, file, 1_000_000);
  const main = records.find(({ path }) => /(^|\/)data\.pkl$/.test(path));
  if (!main) throw new PickleError('it is a zip without data.pkl, so not one of PyTorch’s');
  const root = main.path.slice(0, -'data.pkl'.length);
  const whole = async (record: ZipRecord) => {
    if (record.size > maxPickle) throw new PickleError(`${record.path} is larger than any list of tensors`);
    unpacked(record);
    const begin = await record.dataBegin();
    return source.read(begin, begin + record.size);
  };
  const order = records.find(({ path }) => path === `${root}byteorder`);
  if (order && new TextDecoder().decode(await whole(order)) !== 'little')
    throw new PickleError('its numbers are big-endian');
  const { value } = unpickle(await whole(main), allowed);
  const data = new Map(records.map((record) => [record.path, record]));
  const places = new Map<string, Place>();
  for (const { id } of storedIn(value)) {
    const { key, dtype, count } = storageOf(id);
    const record = data.get(`${root}data/${key}`);
    const length = (count * dtypeBits[dtype]) / 8;
    if (!record) throw new PickleError(`it lacks the numbers of storage ${key}`);
    unpacked(record);
    if (record.size < length)
      throw new PickleError(`storage ${key} has ${record.size} of its ${length} bytes; the file is damaged`);
    let begin: Promise<number> | undefined;
    places.set(key, {
      source,
      length,
      begin: () => {
        begin ??= record.dataBegin();
        return begin;
      },
    });
  }
  return { value, places };
}

function unpacked({ path, method, encrypted, size, packedSize }: ZipRecord): void {
  if (method !== 0 || encrypted || size !== packedSize)
    throw new PickleError(`${path} in it is packed or encrypted, which PyTorch never does`);
}

/** What the format before PyTorch 1.6 begins with. */
const magic = Number(0x1950a86a20f9469cfc6cn);

/**
 * Pickles one after another: a magic number, a version, what the machine was, the tensors, the keys of the storages;
 * then each storage, its count of elements before it.
 */
async function readPlain(source: ByteSource, file: string): Promise<{ value: Pickled; places: Places }> {
  const { values, end } = await leading(source, 5);
  const [mark, version, machine, value, keys] = values;
  if (mark !== magic || version !== 1001)
    throw new PickleError('it is a pickle, but not one that torch.save wrote');
  if (machine instanceof Map && machine.get('little_endian') === false)
    throw new PickleError('its numbers are big-endian');
  if (!Array.isArray(keys)) throw new PickleError('it does not list its storages');
  const kinds = new Map([...storedIn(value)].map(({ id }) => [storageOf(id).key, storageOf(id)]));
  const places = new Map<string, Place>();
  let at = end;
  for (const key of keys) {
    const kind = kinds.get(String(key));
    if (!kind) throw new PickleError(`it lists the storage ${String(key)}, which no tensor uses`);
    if (at + 8 > source.size) throw new PickleCutError();
    const head = await source.read(at, at + 8);
    const count = Number(new DataView(head.buffer, head.byteOffset, 8).getBigInt64(0, true));
    const length = (kind.count * dtypeBits[kind.dtype]) / 8;
    if (count !== kind.count) throw new PickleError(`storage ${kind.key} says two different lengths`);
    const begin = at + 8;
    if (begin + length > source.size) throw new PickleCutError();
    places.set(kind.key, { source, length, begin: async () => begin });
    at = begin + length;
  }
  if (at !== source.size)
    throw new PickleError(`the last ${source.size - at} bytes of ${file} belong to no tensor`);
  return { value, places };
}

/** The first `count` pickles; how long they are is known only when they have been read. */
async function leading(source: ByteSource, count: number): Promise<{ values: Pickled[]; end: number }> {
  for (let length = 2 ** 20; ; length *= 8) {
    const all = Math.min(length, source.size, maxPickle);
    const bytes = await source.read(0, all);
    try {
      const values: Pickled[] = [];
      let end = 0;
      for (let i = 0; i < count; i++) {
        const next = unpickle(bytes, allowed, end);
        values.push(next.value);
        end = next.end;
      }
      return { values, end };
    } catch (error) {
      if (!(error instanceof PickleCutError) || all === source.size || all === maxPickle) throw error;
    }
  }
}

/** Every storage that a value refers to. */
function storedIn(value: Pickled): Set<Stored> {
  const found = new Set<Stored>();
  const seen = new Set<Pickled>();
  const queue: Pickled[] = [value];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (next === null || typeof next !== 'object' || seen.has(next)) continue;
    seen.add(next);
    if (next instanceof Stored) found.add(next);
    else if (Array.isArray(next)) for (const item of next) queue.push(item);
    else if (next instanceof Tuple) for (const item of next.items) queue.push(item);
    else if (next instanceof Built) for (const item of next.given) queue.push(item);
    else if (next instanceof Map) for (const pair of next) queue.push(...pair);
  }
  return found;
}

function storageOf(id: readonly Pickled[]): { key: string; dtype: DType; count: number } {
  const [what, kind, key, , count, view] = id;
  const dtype = kind instanceof Named ? storages.get(kind.name) : undefined;
  if (what !== 'storage' || !dtype || typeof key !== 'string' || !isSize(count) || (view ?? null) !== null)
    throw new PickleError('it describes a storage in an unknown way');
  return { key, dtype, count };
}

const isSize = (value: Pickled | undefined): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

/** The named tensors of a state dict, or of the one that a training script put into a larger dictionary. */
function stateDict(value: Pickled): [string, Built][] {
  if (!(value instanceof Map)) throw new PickleError('it holds no dictionary of tensors');
  const own = namedTensors(value);
  if (own.length > 0) return own;
  for (const key of wrappers) {
    const inner = value.get(key);
    const found = inner instanceof Map ? namedTensors(inner) : [];
    if (found.length > 0) return found;
  }
  return [];
}

function namedTensors(map: Map<Pickled, Pickled>): [string, Built][] {
  return [...map].flatMap(([name, value]) => {
    const tensor = value instanceof Built && value.by === parameter ? value.given[0] : value;
    const is = tensor instanceof Built && (tensor.by === rebuild || tensor.by === rebuild2);
    return typeof name === 'string' && is ? [[name, tensor] as [string, Built]] : [];
  });
}

function stored(name: string, tensor: Built, places: Places, source: ByteSource, file: string): StoredTensor {
  const [storage, offset, size, stride] = tensor.given;
  const numbers = (value: Pickled | undefined) =>
    value instanceof Tuple && value.items.every(isSize) ? (value.items as number[]) : undefined;
  const shape = numbers(size);
  const strides = numbers(stride);
  if (!(storage instanceof Stored) || !isSize(offset) || !shape || strides?.length !== shape.length)
    throw new PickleError(`tensor "${name}" is described in an unknown way`);
  const { key, dtype } = storageOf(storage.id);
  const place = places.get(key);
  if (!place) throw new PickleError(`the numbers of tensor "${name}" are not in it`);
  const bytes = dtypeBits[dtype] / 8;
  const count = shape.reduce((product, n) => product * n, 1);
  const last = count === 0 ? offset : offset + shape.reduce((sum, n, i) => sum + (n - 1) * strides[i], 1);
  if (last * bytes > place.length)
    throw new PickleError(`tensor "${name}" reaches beyond its storage; the file is damaged`);
  // Strides of nought repeat numbers: few bytes must not become gigabytes.
  if (count * bytes > source.size) throw new PickleError(`tensor "${name}" is larger than the whole file`);
  const view: View = { offset, shape, strides, bytes };
  return {
    info: { name, dtype, shape, begin: 0, end: count * bytes },
    source: strided(place, view),
    file,
  };
}
