import {
  type InputAttrs,
  isInput,
  isParameter,
  nodesOf,
  type Shape,
  sizeOf,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import { Emitter, type Initialiser } from './emitter.ts';
import { FixedBatchError } from './errors.ts';
import { foldStatic, type ReadParameter } from './fold.ts';
import { type ElementType, encodeModel, type TensorMessage } from './messages.ts';
import { table } from './table/index.ts';

/** ONNX 1.15's operators: the oldest set with every one that the table uses. */
const OPSET = 20;
const IR_VERSION = 9;

/** A graph to write, and what its leaves hold. */
export interface OnnxSource {
  /** Traced at a batch: see `openBatch`. Names are those of the file's outputs. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly read: ReadParameter;
  /** Inputs that the file has no more, with the values they have in it: knobs. */
  readonly fixed?: Readonly<Record<string, Float32Array>>;
  /** Names that inputs have in the file, where they are others than in the trace. */
  readonly inputs?: Readonly<Record<string, string>>;
  readonly metadata?: ReadonlyMap<string, string>;
  readonly name: string;
  readonly version: string;
  /** Whether the weights go into the file itself or into one beside it. */
  readonly weights: 'embedded' | 'external';
}

/** An ONNX file; the weights lie in a second file where they were asked for so. */
export interface OnnxFile {
  readonly graph: Uint8Array<ArrayBuffer>;
  readonly weights: Uint8Array<ArrayBuffer> | null;
  /** Whether the batch is open: any number of samples a run. */
  readonly openBatch: boolean;
}

/** The name by which a graph refers to its weights where they lie outside. */
export const weightsFile = 'weights.bin';

/**
 * Sizes that stand for a batch that is left open: a graph traced at one of them has the batch where a size divides by
 * it. Primes, so that no other axis is taken for it; where a weight has such an axis all the same, the next is taken.
 */
const OPEN_BATCHES = [997, 1009, 1013];

/** Bytes at which tensors begin in the second file. */
const ALIGN = 64;

/** A protobuf message of 2 GiB cannot be read. */
const MOST_EMBEDDED = 2 ** 31 - 2 ** 20;

/**
 * Writes what `trace` gives, with the batch left open where the graph allows, else for batches of `batch`. Throws
 * `OnnxExportError` that names an operation without an ONNX form.
 */
export async function writeOnnx(trace: (batch: number) => OnnxSource, batch: number): Promise<OnnxFile> {
  try {
    for (const size of OPEN_BATCHES) {
      const source = trace(size);
      if (!isAmbiguous(Object.values(source.outputs), size)) return await writeGraph(source, size);
    }
  } catch (error) {
    if (!(error instanceof FixedBatchError)) throw error;
  }
  return writeGraph(trace(batch));
}

const isAmbiguous = (outputs: readonly Tensor[], size: number) =>
  nodesOf(outputs).some(({ outputs: [t] }) => isParameter(t) && t.shape.some((n) => n % size === 0));

async function writeGraph(source: OnnxSource, openBatch?: number): Promise<OnnxFile> {
  const outputs = Object.values(source.outputs);
  const isOpen = (n: number) => openBatch !== undefined && n > 0 && n % openBatch === 0;
  const fixed = fixedInputs(outputs, source.fixed ?? {});
  const folded = await foldStatic(outputs, { read: source.read, fixed, isOpen });
  const e = new Emitter({ table, openBatch, known: new Map([...fixed, ...folded]), inputs: source.inputs });
  // Inputs come first, because an open batch is read off one of them.
  for (const node of nodesOf(outputs)) {
    const [t] = node.outputs;
    if (isInput(t) && !fixed.has(t) && t.shape.some(isOpen)) e.value(t);
  }
  for (const [name, t] of Object.entries(source.outputs)) e.output(name, t);
  const { tensors, weights } = await place(e.initialisers, source);
  const graph = encodeModel({
    opset: OPSET,
    irVersion: IR_VERSION,
    producer: 'Graft',
    producerVersion: source.version,
    graphName: source.name,
    nodes: e.nodes,
    tensors,
    inputs: e.inputs,
    outputs: Object.entries(source.outputs).map(([name, t]) => ({
      name,
      type: 'f32',
      shape: e.named(t.shape),
    })),
    metadata: source.metadata ?? new Map(),
  });
  return { graph, weights, openBatch: openBatch !== undefined };
}

function fixedInputs(outputs: readonly Tensor[], values: Readonly<Record<string, Float32Array>>) {
  const fixed = new Map<Tensor, Float32Array>();
  for (const node of nodesOf(outputs)) {
    const [t] = node.outputs;
    if (!isInput(t)) continue;
    const { name } = node.attrs as InputAttrs;
    if (Object.hasOwn(values, name)) fixed.set(t, values[name]);
  }
  return fixed;
}

/** Reads the parameters, one after the other into the second file where there is one. */
async function place(
  initialisers: readonly Initialiser[],
  { read, weights: where }: OnnxSource,
): Promise<{ tensors: TensorMessage[]; weights: Uint8Array<ArrayBuffer> | null }> {
  const outside = where === 'external';
  const total = initialisers.reduce((n, { type, shape, data }) => {
    if (data instanceof Uint8Array) return n + (outside ? 0 : data.length);
    return n + aligned(sizeOf(shape) * (type === 'f16' ? 2 : 4));
  }, 0);
  if (!outside && total > MOST_EMBEDDED)
    throw new RangeError(
      `The model takes ${(total / 2 ** 30).toFixed(1)} GiB, and an ONNX file of one piece holds 2. Download the adapter instead.`,
    );
  const file = outside ? new Uint8Array(total) : null;
  const tensors: TensorMessage[] = [];
  let at = 0;
  for (const { name, type, shape, data } of initialisers) {
    const bytes =
      data instanceof Uint8Array ? data : bytesOf(await read(data.parameter), data.parameter, type, shape);
    // What was computed here stays in the graph: shapes must be known before any other file is read.
    if (!file || data instanceof Uint8Array) {
      tensors.push({ name, type, shape, data: bytes });
      continue;
    }
    file.set(bytes, at);
    tensors.push({ name, type, shape, data: { file: weightsFile, offset: at, bytes: bytes.length } });
    at += aligned(bytes.length);
  }
  return { tensors, weights: file };
}

const aligned = (bytes: number) => Math.ceil(bytes / ALIGN) * ALIGN;

/** The bytes of a parameter in the file. Whole numbers come as f32, in which they are exact. */
function bytesOf(
  value: Float32Array | Uint8Array,
  name: string,
  type: ElementType,
  shape: Shape,
): Uint8Array {
  const data = type === 'i32' && value instanceof Float32Array ? Int32Array.from(value) : value;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.length !== sizeOf(shape) * (type === 'f16' ? 2 : 4))
    throw new RangeError(
      `'${name}' is ${type} [${shape}] in the graph, and its value has ${bytes.length} bytes.`,
    );
  return bytes;
}
