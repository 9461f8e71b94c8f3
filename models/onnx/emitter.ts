import type { DType, Node, Shape, Tensor } from '../../gpu-shaders/index.ts';
import { FixedBatchError, OnnxExportError } from './errors.ts';
import {
  type Attribute,
  type Dim,
  type ElementType,
  elementType,
  type NodeMessage,
  type ValueMessage,
} from './messages.ts';

/** Writes one operation: reads its inputs from the emitter and sets its outputs. */
export type Row = (e: Emitter, node: Node) => void;

/** A tensor of the file whose bytes are there, or come by the name of a parameter. */
export interface Initialiser {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
  readonly data: Uint8Array | { readonly parameter: string };
}

/**
 * Where a value is. Pictures lie channels last in our graphs and channels first in ONNX's windowed operations, so a
 * rank-4 value may be there in either order; the other is made by a Transpose where something asks for it.
 */
interface Place {
  plain?: string;
  first?: string;
}

export interface EmitterOptions {
  readonly table: Readonly<Record<string, Row>>;
  /** The size that stands for a batch left open; undefined where the batch is fixed. */
  readonly openBatch?: number;
  /** Values known beforehand: folded constants, inputs that are fixed in the file. */
  readonly known: ReadonlyMap<Tensor, Float32Array>;
  /** Other names for inputs. */
  readonly inputs?: Readonly<Record<string, string>>;
}

const typeOf: Record<DType, ElementType> = {
  f32: 'f32',
  f16: 'f16',
  i32: 'i32',
  u32: 'i32',
  int8: 'f32',
  nf4: 'f32',
};

const bytesOf = (data: Float32Array | Int32Array | Uint32Array | BigInt64Array) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Turns traced values into ONNX nodes, each when something asks for it. */
export class Emitter {
  readonly nodes: NodeMessage[] = [];
  readonly initialisers: Initialiser[] = [];
  readonly inputs: ValueMessage[] = [];
  private readonly places = new Map<Tensor, Place>();
  private readonly constants = new Map<string, string>();
  private readonly parameters = new Map<string, string>();
  private count = 0;

  constructor(private readonly options: EmitterOptions) {}

  /** The name of a value as our graph lays it out. */
  value(t: Tensor): string {
    const place = this.placeOf(t);
    place.plain ??= this.node('Transpose', [place.first!], { perm: [0, 2, 3, 1] });
    return place.plain;
  }

  /** The name of an NHWC value as NCHW. */
  channelsFirst(t: Tensor): string {
    const place = this.placeOf(t);
    place.first ??= this.node('Transpose', [place.plain!], { perm: [0, 3, 1, 2] });
    return place.first;
  }

  /** Whether a value is there as NCHW already, so that staying in that order costs nothing. */
  isChannelsFirst(t: Tensor): boolean {
    return t.shape.length === 4 && this.placeOf(t).first !== undefined;
  }

  set(t: Tensor, name: string): void {
    this.places.set(t, { ...this.places.get(t), plain: name });
  }

  setChannelsFirst(t: Tensor, name: string): void {
    this.places.set(t, { ...this.places.get(t), first: name });
  }

  /** Adds a node of one output and names that. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const name = this.fresh(op);
    this.nodes.push({ op, inputs, outputs: [name], attributes });
    return name;
  }

  /** Gives a value the name of an output of the graph. */
  output(name: string, t: Tensor): void {
    this.nodes.push({ op: 'Identity', inputs: [this.value(t)], outputs: [name], attributes: {} });
  }

  scalar(value: number): string {
    return this.constant(`f${value}`, 'f32', [], () => bytesOf(Float32Array.of(value)));
  }

  /** A list of whole numbers, as shapes and axes are given. */
  ints(values: readonly number[]): string {
    return this.constant(`i${values}`, 'i64', [values.length], () =>
      bytesOf(BigInt64Array.from(values, BigInt)),
    );
  }

  floats(values: Float32Array, shape: Shape): string {
    return this.initialiser('constant', 'f32', shape, bytesOf(values));
  }

  int32(values: Int32Array, shape: Shape): string {
    return this.initialiser('constant', 'i32', shape, bytesOf(values));
  }

  /** `name` under another shape; an axis that grows with the batch is inferred. */
  reshape(name: string, shape: Shape): string {
    return this.node('Reshape', [name, this.ints(this.dims(shape))]);
  }

  /** `name` spread over a shape, the batch's size taken from an input where it is open. */
  expand(name: string, shape: Shape): string {
    const at = shape.findIndex((n) => this.isOpen(n));
    if (at < 0) return this.node('Expand', [name, this.ints(shape)]);
    this.dims(shape);
    const size = this.batchSize();
    const times = shape[at] / this.options.openBatch!;
    const batch = times === 1 ? size : this.node('Mul', [size, this.ints([times])]);
    const parts = [shape.slice(0, at), shape.slice(at + 1)].map((p) => (p.length ? this.ints(p) : null));
    const all = [parts[0], batch, parts[1]].filter((p) => p !== null);
    return this.node('Expand', [name, all.length > 1 ? this.node('Concat', all, { axis: 0 }) : batch]);
  }

  /** A shape for Reshape: -1 where the batch is open. Throws `FixedBatchError` where that leaves it undetermined. */
  dims(shape: Shape): number[] {
    const dims = shape.map((n) => (this.isOpen(n) ? -1 : n));
    if (dims.filter((n) => n < 0).length > 1)
      throw new FixedBatchError(`A value [${shape}] has the batch on two axes.`);
    return dims;
  }

  /** The same for the description of an input or output. */
  named(shape: Shape): Dim[] {
    const { openBatch = 1 } = this.options;
    return shape.map((n) => {
      if (!this.isOpen(n)) return n;
      return n === openBatch ? 'batch' : `${n / openBatch} batch`;
    });
  }

  isOpen(n: number): boolean {
    const { openBatch } = this.options;
    return openBatch !== undefined && n > 0 && n % openBatch === 0;
  }

  /** A value given anew at each run. Whole numbers come as int64, as tokenizers hand them over. */
  input(t: Tensor, traced: string): void {
    const name = this.options.inputs?.[traced] ?? traced;
    const whole = typeOf[t.dtype] === 'i32';
    // Several leaves of one name are one input.
    if (!this.inputs.some((v) => v.name === name))
      this.inputs.push({ name, type: whole ? 'i64' : typeOf[t.dtype], shape: this.named(t.shape) });
    this.set(t, whole ? this.node('Cast', [name], { to: elementType.i32 }) : name);
  }

  /** A parameter by its name; half precision stays so in the file and is widened as it is read. */
  parameter(t: Tensor, name: string): void {
    // Leaves of one name are one leaf, whatever trace they come from.
    let value = this.parameters.get(name);
    if (!value) {
      const type = typeOf[t.dtype];
      this.initialisers.push({ name, type, shape: t.shape, data: { parameter: name } });
      value = type === 'f16' ? this.node('Cast', [name], { to: elementType.f32 }) : name;
      this.parameters.set(name, value);
    }
    this.set(t, value);
  }

  /** Data that came with the trace. */
  data(t: Tensor, values: Float32Array | Uint32Array | Int32Array): void {
    if (t.shape.some((n) => this.isOpen(n)))
      throw new FixedBatchError(`A constant [${t.shape}] has the batch in its shape.`);
    this.set(t, this.initialiser('constant', typeOf[t.dtype], t.shape, bytesOf(values)));
  }

  private placeOf(t: Tensor): Place {
    const found = this.places.get(t);
    if (found) return found;
    const known = this.options.known.get(t);
    if (known) this.data(t, known);
    else {
      const { op } = t.node;
      const row = Object.hasOwn(this.options.table, op.name) ? this.options.table[op.name] : undefined;
      if (!row)
        throw new OnnxExportError(
          `The operation '${op.name}' has no ONNX form here, so this model cannot be written as ONNX.`,
        );
      row(this, t.node);
    }
    const made = this.places.get(t);
    if (!made) throw new OnnxExportError(`'${t.node.op.name}' has no ONNX form of its output ${t.output}.`);
    return made;
  }

  private batchSize(): string {
    const { openBatch } = this.options;
    const { name, shape } = this.inputs.find((v) => v.shape[0] === 'batch') ?? {};
    if (!name || !shape)
      throw new FixedBatchError(
        `Nothing that is given anew tells the batch, which was traced as ${openBatch}.`,
      );
    const key = `batch of ${name}`;
    let size = this.constants.get(key);
    if (!size) {
      size = this.node('Shape', [name], { start: 0, end: 1 });
      this.constants.set(key, size);
    }
    return size;
  }

  private constant(key: string, type: ElementType, shape: Shape, data: () => Uint8Array): string {
    let name = this.constants.get(key);
    if (!name) {
      name = this.initialiser('constant', type, shape, data());
      this.constants.set(key, name);
    }
    return name;
  }

  private initialiser(name: string, type: ElementType, shape: Shape, data: Uint8Array): string {
    const own = this.fresh(name);
    this.initialisers.push({ name: own, type, shape, data });
    return own;
  }

  private fresh(name: string): string {
    return `${name}_${this.count++}`;
  }
}
