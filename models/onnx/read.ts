import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type ByteSource, bytesSource } from '../checkpoints/bytes.ts';
import { type DType, dtypeBits } from '../checkpoints/dtypes.ts';
import { CheckpointError } from '../checkpoints/errors.ts';

/** An ONNX file as far as it is looked at here: nodes, constants, and where their numbers lie. */
export interface OnnxGraphFile {
  readonly nodes: readonly OnnxNode[];
  /** Initialisers and the values of Constant nodes, by name. */
  readonly constants: ReadonlyMap<string, OnnxConstant>;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Files beside it that hold weights. */
  readonly external: ReadonlySet<string>;
}

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly floats: ReadonlyMap<string, number>;
  readonly ints: ReadonlyMap<string, readonly number[]>;
}

export interface OnnxConstant {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Its bytes, row-major and little-endian. */
  readonly source: ByteSource;
}

/** An input or output; a dimension without a number is null. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: DType | undefined;
  readonly shape: readonly (number | null)[];
}

/** ONNX's numbers for element types. */
const dtypes: Readonly<Record<number, DType>> = {
  1: 'F32',
  2: 'U8',
  3: 'I8',
  4: 'U16',
  5: 'I16',
  6: 'I32',
  7: 'I64',
  9: 'BOOL',
  10: 'F16',
  11: 'F64',
  12: 'U32',
  13: 'U64',
  16: 'BF16',
};

/** The format's own limit: protobuf counts in signed 32 bits. */
const maxBytes = 2 ** 31;

/**
 * Reads an ONNX file's graph. Weights stay where they are, in the file or in another one that `beside` gives by the
 * name it has in the graph. Throws `CheckpointError` for a damaged file or one whose weights are missing.
 */
export async function readOnnx(
  source: ByteSource,
  file: string,
  beside: (name: string) => ByteSource | undefined = () => undefined,
): Promise<OnnxGraphFile> {
  if (source.size > maxBytes)
    throw new CheckpointError(
      file,
      'it is larger than 2 GB, which no ONNX file is; keep its weights beside it.',
    );
  const bytes = await source.read(0, source.size);
  const read = new GraphReader(file, source, beside);
  try {
    read.model(bytes);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(
      file,
      `it is not a sound ONNX file (${(error as Error).message}); fetch it again.`,
    );
  }
  if (read.nodes.length === 0) throw new CheckpointError(file, 'it holds no graph; it is no ONNX file.');
  return read;
}

/** Calls `field` for each field of a message that lies at `from` to `to` of the reader. */
function fields(r: BinaryReader, to: number, field: (number: number, wire: WireType) => boolean): void {
  while (r.pos < to) {
    const [number, wire] = r.tag();
    if (!field(number, wire)) r.skip(wire);
  }
}

class GraphReader implements OnnxGraphFile {
  readonly nodes: OnnxNode[] = [];
  readonly constants = new Map<string, OnnxConstant>();
  readonly inputs: OnnxValue[] = [];
  readonly outputs: OnnxValue[] = [];
  readonly external = new Set<string>();

  constructor(
    private readonly file: string,
    private readonly source: ByteSource,
    private readonly beside: (name: string) => ByteSource | undefined,
  ) {}

  model(bytes: Uint8Array): void {
    const r = new BinaryReader(bytes);
    fields(r, r.len, (number) => number === 7 && this.within(r, (to) => this.graph(r, to)));
    // Exporters keep equal constants once, and give the others' names by nodes that copy it.
    for (const { op, inputs, outputs } of this.nodes) {
      const same = op === 'Identity' ? this.constants.get(inputs[0]) : undefined;
      if (same) this.constants.set(outputs[0], { ...same, name: outputs[0] });
    }
  }

  private within(r: BinaryReader, read: (to: number) => void): true {
    const length = r.uint32();
    const to = r.pos + length;
    if (to > r.len) throw new RangeError('it breaks off');
    read(to);
    r.pos = to;
    return true;
  }

  private graph(r: BinaryReader, end: number): void {
    fields(r, end, (number) => {
      if (number === 1) return this.within(r, (to) => this.node(r, to));
      if (number === 5)
        return this.within(r, (to) => {
          const made = this.tensor(r, to);
          this.constants.set(made.name, made);
        });
      if (number === 11) return this.within(r, (to) => void this.inputs.push(this.value(r, to)));
      if (number === 12) return this.within(r, (to) => void this.outputs.push(this.value(r, to)));
      return false;
    });
  }

  private node(r: BinaryReader, end: number): void {
    const inputs: string[] = [];
    const outputs: string[] = [];
    const floats = new Map<string, number>();
    const ints = new Map<string, readonly number[]>();
    let op = '';
    let constant: OnnxConstant | undefined;
    fields(r, end, (number) => {
      if (number === 1) inputs.push(r.string());
      else if (number === 2) outputs.push(r.string());
      else if (number === 4) op = r.string();
      else if (number === 5)
        return this.within(r, (to) => {
          const tensor = this.attribute(r, to, floats, ints);
          constant = tensor ?? constant;
        });
      else return false;
      return true;
    });
    if (op === 'Constant' && constant) this.constants.set(outputs[0], { ...constant, name: outputs[0] });
    this.nodes.push({ op, inputs, outputs, floats, ints });
  }

  private attribute(
    r: BinaryReader,
    end: number,
    floats: Map<string, number>,
    ints: Map<string, readonly number[]>,
  ): OnnxConstant | undefined {
    let name = '';
    let tensor: OnnxConstant | undefined;
    const list: number[] = [];
    let float: number | undefined;
    fields(r, end, (number, wire) => {
      if (number === 1) name = r.string();
      else if (number === 2) float = r.float();
      else if (number === 3 || number === 8) integers(r, wire, list);
      else if (number === 5)
        return this.within(r, (to) => {
          tensor = this.tensor(r, to);
        });
      else return false;
      return true;
    });
    if (float !== undefined) floats.set(name, float);
    if (list.length > 0) ints.set(name, list);
    return tensor;
  }

  private tensor(r: BinaryReader, end: number): OnnxConstant {
    const shape: number[] = [];
    const external = new Map<string, string>();
    const typed: { bytes: Uint8Array; width: number }[] = [];
    let type = 0;
    let name = '';
    let raw: ByteSource | undefined;
    fields(r, end, (number, wire) => {
      if (number === 1) integers(r, wire, shape);
      else if (number === 2) type = r.int32();
      else if (number === 8) name = r.string();
      else if (number === 9)
        return this.within(r, (to) => {
          raw = part(this.source, r.pos, to);
        });
      else if (number === 4 && wire === WireType.LengthDelimited) typed.push({ bytes: r.bytes(), width: 4 });
      else if (number === 10 && wire === WireType.LengthDelimited) typed.push({ bytes: r.bytes(), width: 8 });
      else if (number === 7) {
        const list: number[] = [];
        integers(r, wire, list);
        typed.push({ bytes: new Uint8Array(BigInt64Array.from(list, BigInt).buffer), width: 8 });
      } else if (number === 13) return this.within(r, (to) => entry(r, to, external));
      else return false;
      return true;
    });
    const dtype = dtypes[type];
    const location = external.get('location');
    if (location !== undefined) raw = this.elsewhere(name, location, external);
    raw ??= bytesSource(joined(typed.map(({ bytes }) => bytes)));
    if (!dtype) throw new RangeError(`the constant "${name}" has the unknown type ${type}`);
    const expected = (shape.reduce((product, n) => product * n, 1) * dtypeBits[dtype]) / 8;
    // Small integers may be packed as varints; nothing here needs those.
    const sound =
      raw.size === expected || (raw.size === 0 && ['I32', 'U8', 'I8', 'BOOL', 'F16'].includes(dtype));
    if (!sound) throw new RangeError(`the constant "${name}" has ${raw.size} of ${expected} bytes`);
    return { name, dtype, shape, source: raw };
  }

  private elsewhere(name: string, location: string, external: ReadonlyMap<string, string>): ByteSource {
    this.external.add(location);
    const other = this.beside(location);
    if (!other)
      throw new CheckpointError(
        this.file,
        `its weight "${name}" lies in the file "${location}", which is not there; add that file.`,
      );
    const begin = Number(external.get('offset') ?? 0);
    const end = external.has('length') ? begin + Number(external.get('length')) : other.size;
    if (!(begin >= 0 && end >= begin && end <= other.size))
      throw new RangeError(`the constant "${name}" lies outside "${location}"`);
    return part(other, begin, end);
  }

  private value(r: BinaryReader, end: number): OnnxValue {
    let name = '';
    let type = 0;
    const shape: (number | null)[] = [];
    const dimension = (to: number) => {
      let size: number | null = null;
      fields(r, to, (number) => {
        if (number === 1) size = Number(r.int64());
        else return false;
        return true;
      });
      shape.push(size);
    };
    const tensorType = (to: number) =>
      fields(r, to, (number) => {
        if (number === 1) type = r.int32();
        else if (number === 2)
          return this.within(r, (dims) => fields(r, dims, (n) => n === 1 && this.within(r, dimension)));
        else return false;
        return true;
      });
    fields(r, end, (number) => {
      if (number === 1) name = r.string();
      else if (number === 2)
        return this.within(r, (to) => fields(r, to, (n) => n === 1 && this.within(r, tensorType)));
      else return false;
      return true;
    });
    return { name, dtype: dtypes[type], shape };
  }
}

/** Whole numbers, one by one or packed. */
function integers(r: BinaryReader, wire: WireType, into: number[]): void {
  if (wire !== WireType.LengthDelimited) return void into.push(Number(r.int64()));
  const to = r.uint32() + r.pos;
  if (to > r.len) throw new RangeError('it breaks off');
  while (r.pos < to) into.push(Number(r.int64()));
}

function entry(r: BinaryReader, end: number, into: Map<string, string>): void {
  let key = '';
  let value = '';
  fields(r, end, (number) => {
    if (number === 1) key = r.string();
    else if (number === 2) value = r.string();
    else return false;
    return true;
  });
  into.set(key, value);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

/** A range of a source as one of its own. */
function part(source: ByteSource, begin: number, end: number): ByteSource {
  return { size: end - begin, read: (from, to) => source.read(begin + from, begin + to) };
}

/** A constant's whole numbers; undefined where it is of another type or of more than a few. */
export async function wholeNumbers({ dtype, source }: OnnxConstant): Promise<number[] | undefined> {
  if (dtype !== 'I64' || source.size > 128) return undefined;
  const bytes = new Uint8Array(await source.read(0, source.size));
  return [...new BigInt64Array(bytes.buffer)].map(Number);
}

/** A constant that is one number in f32; undefined for any other. */
export async function oneFloat({ dtype, source }: OnnxConstant): Promise<number | undefined> {
  if (dtype !== 'F32' || source.size !== 4) return undefined;
  return new Float32Array(new Uint8Array(await source.read(0, 4)).buffer)[0];
}
