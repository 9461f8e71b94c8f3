import { backboneFor } from '../backbones/index.ts';
import { type ByteSource, bytesSource, concatenated } from '../checkpoints/bytes.ts';
import { Checkpoint, type StoredTensor } from '../checkpoints/checkpoint.ts';
import { dtypeBits } from '../checkpoints/dtypes.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import { strided } from '../checkpoints/strided.ts';
import { Model } from '../model.ts';
import { inferConfig } from './infer.ts';
import type { OnnxConstant, OnnxGraphFile } from './read.ts';

/** A graph's weights under the names of a family that is known. */
export interface Adopted {
  readonly config: JsonObject;
  readonly model: Model;
  /** `model.safetensors` with those weights, made as it is read. */
  readonly weights: ByteSource;
}

/**
 * Takes the weights out of an exported graph, where they are those of a family that is known. Exporters keep the names
 * of biases, norms and convolutions, and fold the transpose of a linear layer's weight into a nameless constant: it
 * feeds a product to which the named bias is added, which names it. `config` is the `config.json` beside the graph;
 * without one it is inferred from shapes and constants. Null where the weights belong to no such family.
 */
export async function adopt(graph: OnnxGraphFile, config?: JsonObject): Promise<Adopted | null> {
  const named = namedWeights(graph);
  for (const prefix of prefixesOf([...named.keys()])) {
    const tensors = new Map(
      [...named].flatMap(([name, tensor]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : [],
      ),
    );
    const found = config ? { config, tensors } : await inferConfig(graph, tensors);
    const model = found && modelOf(found.config, found.tensors);
    if (model) return { config: found.config, model, weights: safetensorsOf(found.tensors) };
  }
  return null;
}

export type NamedTensors = ReadonlyMap<string, OnnxConstant>;

/** Constants under the names of the parameters that they are. */
function namedWeights({ nodes, constants }: OnnxGraphFile): Map<string, OnnxConstant> {
  const named = new Map<string, OnnxConstant>();
  for (const [name, constant] of constants)
    if (name.includes('.') && !name.includes('/') && !name.includes('::')) named.set(name, constant);
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const nameless = (name: string, bias: string): void => {
    const constant = constants.get(name);
    const weight = bias.replace(/bias$/, 'weight');
    if (constant?.shape.length === 2 && !named.has(weight)) named.set(weight, turned(constant));
  };
  for (const { op, inputs, ints } of nodes) {
    const bias = inputs.find((input) => input.endsWith('.bias') && constants.has(input));
    if (!bias) continue;
    if (op === 'Add') {
      const product = inputs.map((input) => producers.get(input)).find((node) => node?.op === 'MatMul');
      if (product) nameless(product.inputs[1], bias);
    }
    if (op === 'Gemm' && !ints.get('transB')?.[0] && inputs[2] === bias) nameless(inputs[1], bias);
  }
  return named;
}

function turned({ name, dtype, shape: [rows, columns], source }: OnnxConstant): OnnxConstant {
  const shape = [columns, rows];
  const view = { offset: 0, shape, strides: [1, columns], bytes: dtypeBits[dtype] / 8 };
  return { name, dtype, shape, source: strided({ source, begin: async () => 0 }, view) };
}

/** What may stand before a family's own names: nothing, or the modules that it was wrapped in. */
function prefixesOf(names: readonly string[]): string[] {
  const found = new Set(['']);
  for (const name of names) {
    const parts = name.split('.');
    for (let depth = 1; depth <= Math.min(3, parts.length - 2); depth++)
      found.add(`${parts.slice(0, depth).join('.')}.`);
  }
  return [...found].sort((a, b) => a.length - b.length);
}

function modelOf(config: JsonObject, tensors: NamedTensors): Model | null {
  const stored = new Map<string, StoredTensor>(
    [...tensors].map(([name, { dtype, shape, source }]) => [
      name,
      { info: { name, dtype, shape: [...shape], begin: 0, end: source.size }, source, file: 'model.onnx' },
    ]),
  );
  try {
    const backbone = backboneFor(config);
    return new Model(backbone, backbone.configure(config), new Checkpoint(stored, new Map()));
  } catch {
    // Not these names, or not this family: the next prefix is tried, and in the end the graph runs as it is.
    return null;
  }
}

/** A safetensors file over tensors that lie elsewhere. Wider types first, so that each is aligned. */
function safetensorsOf(tensors: NamedTensors): ByteSource {
  const list = [...tensors].sort(([, a], [, b]) => dtypeBits[b.dtype] - dtypeBits[a.dtype]);
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const [name, { dtype, shape, source }] of list) {
    header[name] = { dtype, shape, data_offsets: [at, at + source.size] };
    at += source.size;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);
  return concatenated([bytesSource(head), ...list.map(([, { source }]) => source)]);
}
