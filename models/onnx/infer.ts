import { concatenated } from '../checkpoints/bytes.ts';
import type { JsonObject } from '../checkpoints/folder.ts';
import type { NamedTensors } from './adopt.ts';
import { type OnnxConstant, type OnnxGraphFile, oneFloat, wholeNumbers } from './read.ts';

const patches = 'embeddings.patch_embeddings.projection.weight';
const positions = 'embeddings.position_embeddings';

/**
 * The configuration of a ViT or DINOv2 from its graph: what shapes tell, heads from the constants that split them, the
 * norm's epsilon from its nodes. Null where it is another family, or something of it is not to be found.
 */
export async function inferConfig(
  graph: OnnxGraphFile,
  given: NamedTensors,
): Promise<{ config: JsonObject; tensors: NamedTensors } | null> {
  const kernel = given.get(patches)?.shape;
  if (kernel?.length !== 4) return null;
  const [hidden, channels, patch] = kernel;
  const tensors = new Map(given);
  // Files say `encoder.layer`; of a ViT in memory transformers 5 says `layers`.
  const root = given.has('layers.0.layernorm_before.weight') ? 'layers' : 'encoder.layer';
  const own = (name: string) => given.get(`${root}.0.${name}`);
  const isVit = own('layernorm_before.weight') !== undefined;
  const norm = isVit ? 'layernorm_before.weight' : 'norm1.weight';
  let blocks = 0;
  while (given.has(`${root}.${blocks}.${norm}`)) blocks++;
  const heads = await headsOf(graph, hidden);
  const table = given.get(positions) ?? positionsOf(graph, hidden);
  const side = table && Math.sqrt(table.shape[1] - 1);
  if (blocks === 0 || !heads || !side || !Number.isInteger(side)) return null;
  tensors.set(positions, table);
  restoreToken(graph, tensors, hidden);
  const common = {
    hidden_size: hidden,
    num_hidden_layers: blocks,
    num_attention_heads: heads,
    num_channels: channels,
    patch_size: patch,
    image_size: side * patch,
    hidden_act: 'gelu',
    layer_norm_eps: (await epsilonOf(graph)) ?? 1e-6,
    qkv_bias: Boolean(own('attention.attention.query.bias') ?? own('attention.q_proj.bias')),
  };
  const inner = (own('intermediate.dense.weight') ?? own('mlp.fc1.weight'))?.shape[0];
  const gated = own('mlp.weights_in.weight') !== undefined;
  if (isVit && inner) return { config: { model_type: 'vit', ...common, intermediate_size: inner }, tensors };
  if (!gated && !inner) return null;
  const registers = given.get('embeddings.register_tokens')?.shape[1] ?? 0;
  return {
    config: {
      model_type: registers > 0 ? 'dinov2_with_registers' : 'dinov2',
      ...common,
      mlp_ratio: gated ? 4 : inner! / hidden,
      use_swiglu_ffn: gated,
      ...(registers > 0 ? { num_register_tokens: registers } : {}),
    },
    tensors,
  };
}

/** Into how many parts of the width attention splits it: where two constants of a shape multiply to the width. */
async function headsOf({ nodes, constants }: OnnxGraphFile, hidden: number): Promise<number | undefined> {
  const votes = new Map<number, number>();
  const vote = (heads: number | undefined, size: number | undefined) => {
    if (!heads || !size || size < 2 || hidden % size !== 0) return;
    // The number of heads may be left to the runtime.
    const found = heads === -1 ? hidden / size : heads;
    if (found > 1 && found * size === hidden) votes.set(found, (votes.get(found) ?? 0) + 1);
  };
  for (const { op, inputs } of nodes) {
    if (op === 'Reshape') {
      const shape = constants.get(inputs[1]);
      const numbers = shape && (await wholeNumbers(shape));
      if (numbers && numbers.length >= 3) vote(numbers.at(-2), numbers.at(-1));
    }
    if (op === 'Concat' && inputs.length >= 3) {
      const last = await Promise.all(
        inputs.slice(-2).map(async (name) => {
          const part = constants.get(name);
          return part && (await wholeNumbers(part))?.[0];
        }),
      );
      vote(last[0], last[1]);
    }
  }
  return [...votes].sort(([, a], [, b]) => b - a)[0]?.[0];
}

async function epsilonOf({ nodes, constants }: OnnxGraphFile): Promise<number | undefined> {
  const norm = nodes.find(({ op }) => op === 'LayerNormalization');
  // Kept as f32: the nearest short decimal is what the configuration said.
  if (norm) return Number((norm.floats.get('epsilon') ?? 1e-5).toPrecision(3));
  const means = new Set(nodes.filter(({ op }) => op === 'ReduceMean').flatMap(({ outputs }) => outputs));
  for (const { op, inputs } of nodes) {
    if (op !== 'Add' || !inputs.some((input) => means.has(input))) continue;
    for (const input of inputs) {
      const constant = constants.get(input);
      const value = constant && (await oneFloat(constant));
      if (value) return Number(value.toPrecision(3));
    }
  }
  return undefined;
}

/** The position table where it lost its name: whole, or the class token's row and the patches' rows apart. */
function positionsOf({ constants }: OnnxGraphFile, hidden: number): OnnxConstant | undefined {
  const tables = [...constants.values()].filter(
    ({ dtype, shape }) =>
      ['F32', 'F16'].includes(dtype) && shape.length === 3 && shape[0] === 1 && shape[2] === hidden,
  );
  const square = (n: number) => n > 1 && Number.isInteger(Math.sqrt(n));
  const whole = tables.filter(({ shape }) => square(shape[1] - 1));
  if (whole.length === 1) return whole[0];
  const rest = tables.filter(({ shape }) => square(shape[1]));
  const first = tables.filter(({ name, shape }) => shape[1] === 1 && !name.includes('.'));
  if (whole.length > 0 || rest.length !== 1 || first.length !== 1) return undefined;
  const source = concatenated([first[0].source, rest[0].source]);
  return { name: positions, dtype: rest[0].dtype, shape: [1, 1 + rest[0].shape[1], hidden], source };
}

/** The class token, where an exporter has spread it out and so taken its name. */
function restoreToken(
  { constants }: OnnxGraphFile,
  tensors: Map<string, OnnxConstant>,
  hidden: number,
): void {
  if (tensors.has('embeddings.cls_token')) return;
  const rows = [...constants.values()].filter(
    ({ shape, source }) =>
      shape.length === 3 && shape[0] === 1 && shape[1] === 1 && shape[2] === hidden && source.size > 0,
  );
  if (rows.length === 1) tensors.set('embeddings.cls_token', rows[0]);
}
