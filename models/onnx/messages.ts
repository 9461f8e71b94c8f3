import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * The messages of an ONNX file that Graft writes, by the field numbers of onnx.proto. Fields that stay at their
 * default are left out, as protobuf does.
 */

/** ONNX's numbers for element types. */
export const elementType = { f32: 1, i32: 6, i64: 7, bool: 9, f16: 10 } as const;
export type ElementType = keyof typeof elementType;

/** A dimension: a number, or the name of one that is only known when the graph runs. */
export type Dim = number | string;

export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface NodeMessage {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface ValueMessage {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dim[];
}

/** A tensor in the file, or a range of another file. Bytes are little-endian. */
export interface TensorMessage {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: Uint8Array | { readonly file: string; readonly offset: number; readonly bytes: number };
}

export interface ModelMessage {
  readonly opset: number;
  readonly irVersion: number;
  readonly producer: string;
  readonly producerVersion: string;
  readonly graphName: string;
  readonly nodes: readonly NodeMessage[];
  readonly tensors: readonly TensorMessage[];
  readonly inputs: readonly ValueMessage[];
  readonly outputs: readonly ValueMessage[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** What one attribute's `type` field says. */
const attributeType = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** The bytes of an ONNX file. */
export function encodeModel(model: ModelMessage): Uint8Array<ArrayBuffer> {
  const w = new BinaryWriter();
  int(w, 1, model.irVersion);
  text(w, 2, model.producer);
  text(w, 3, model.producerVersion);
  message(w, 7, () => graph(w, model));
  message(w, 8, () => int(w, 2, model.opset));
  for (const [key, value] of model.metadata) entry(w, 14, key, value);
  return w.finish();
}

function graph(w: BinaryWriter, model: ModelMessage): void {
  for (const n of model.nodes) message(w, 1, () => node(w, n));
  text(w, 2, model.graphName);
  for (const t of model.tensors) message(w, 5, () => tensor(w, t));
  for (const v of model.inputs) message(w, 11, () => value(w, v));
  for (const v of model.outputs) message(w, 12, () => value(w, v));
}

function node(w: BinaryWriter, { op, inputs, outputs, attributes }: NodeMessage): void {
  for (const name of inputs) text(w, 1, name);
  for (const name of outputs) text(w, 2, name);
  text(w, 3, outputs[0]);
  text(w, 4, op);
  for (const [name, of] of Object.entries(attributes)) message(w, 5, () => attribute(w, name, of));
}

function attribute(w: BinaryWriter, name: string, of: Attribute): void {
  text(w, 1, name);
  if (typeof of === 'number') {
    int(w, 3, of);
    int(w, 20, attributeType.int);
  } else if (typeof of === 'string') {
    text(w, 4, of);
    int(w, 20, attributeType.string);
  } else if ('float' in of) {
    w.tag(2, WireType.Bit32).float(of.float);
    int(w, 20, attributeType.float);
  } else {
    for (const n of of) int(w, 8, n);
    int(w, 20, attributeType.ints);
  }
}

function tensor(w: BinaryWriter, { name, type, shape, data }: TensorMessage): void {
  for (const n of shape) int(w, 1, n);
  int(w, 2, elementType[type]);
  text(w, 8, name);
  if (data instanceof Uint8Array) {
    w.tag(9, WireType.LengthDelimited).bytes(data);
    return;
  }
  entry(w, 13, 'location', data.file);
  entry(w, 13, 'offset', `${data.offset}`);
  entry(w, 13, 'length', `${data.bytes}`);
  int(w, 14, 1);
}

function value(w: BinaryWriter, { name, type, shape }: ValueMessage): void {
  text(w, 1, name);
  message(w, 2, () =>
    message(w, 1, () => {
      int(w, 1, elementType[type]);
      message(w, 2, () => {
        for (const dim of shape)
          message(w, 1, () => (typeof dim === 'number' ? int(w, 1, dim) : text(w, 2, dim)));
      });
    }),
  );
}

function entry(w: BinaryWriter, field: number, key: string, of: string): void {
  message(w, field, () => {
    text(w, 1, key);
    text(w, 2, of);
  });
}

function message(w: BinaryWriter, field: number, content: () => unknown): void {
  w.tag(field, WireType.LengthDelimited).fork();
  content();
  w.join();
}

const int = (w: BinaryWriter, field: number, n: number) => w.tag(field, WireType.Varint).int64(n);

const text = (w: BinaryWriter, field: number, of: string) =>
  w.tag(field, WireType.LengthDelimited).string(of);
