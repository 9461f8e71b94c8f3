import {
  add,
  clamp,
  div,
  exp,
  gelu,
  linear,
  log,
  matmul,
  mul,
  reduceSum,
  reshape,
  softmax,
  sub,
  type Tensor,
  tanh,
  transpose,
} from '../../gpu-shaders/index.ts';
import type { AttentionCard, Settings } from '../describe.ts';
import type { AttentionCall, LayerCall } from '../scope.ts';
import {
  bottleneck,
  bottleneckParameters,
  bottleneckSettings,
  inLastBlocks,
  kaiming,
  zerosOf,
} from './bottleneck.ts';
import {
  type AddedParameter,
  type Attachment,
  type AttachmentScope,
  type Method,
  MethodError,
  type ModelDescription,
} from './method.ts';

/** Keeps powers of distances and of attention away from zero. */
const EPS = 1e-8;

/**
 * p-Laplacian message passing on the attention graph (Wu et al., 2024, eqs. 7–10). Its nodes are the projected queries
 * and values behind the frozen output projection, brought down to f (D to D / reduction, in heads); its edges A are the
 * attention probabilities. A′_ij = A_ij (√A_ij ‖f_i − f_j‖)^(p − 2), alpha_i = 1 / (Σ_j A′_ij + 2 mu / p),
 * beta_i = alpha_i 2 mu / p, m_i = alpha_i Σ_j A′_ij f_j + beta_i f_i, and h + up(GELU(gate(h)) · m) stands in place of
 * the projection's output h. mu = 2 mu0 + mu0 tanh(s). Below p = 2 alike nodes count more, above it unlike ones do. An
 * ordinary bottleneck goes beside each MLP branch. The released code has no beta term: it reads it from a block that is
 * zero. The output projection's bias is left to the bias of the layer behind it.
 */
export const pAdapter: Method = {
  card: {
    id: 'p-adapter',
    title: 'p-Adapter',
    about:
      'Passes messages along the attention of every block, between nodes that are alike or unlike, as p says.',
    paper: {
      title: 'p-Laplacian Adaptation for Generative Pre-trained Vision-Language Models',
      year: 2024,
      url: 'arxiv.org/abs/2312.10613',
    },
    formula: 'attention + p_adapter.up.weight:up · p-Laplacian · p_adapter.down.weight:down',
    channels: [],
    settings: [
      {
        key: 'reduction',
        label: 'Reduction',
        kind: 'integer',
        default: 8,
        min: 1,
        max: 64,
        step: 1,
        scale: 'log',
        primary: true,
        live: false,
        help: 'The adapters work on this fraction of the features: 8 is an eighth.',
      },
      {
        key: 'p',
        label: 'p',
        kind: 'number',
        default: 1.25,
        min: 1,
        max: 3,
        step: 0.05,
        primary: true,
        live: true,
        help: 'At 2 messages follow the attention; below it they come more from alike nodes, above it from unlike ones.',
      },
      {
        key: 'mu',
        label: 'mu',
        kind: 'number',
        default: 0.1,
        min: 0,
        max: 10,
        step: 0.05,
        primary: false,
        live: true,
        help: 'How much a node keeps of itself against what its neighbours tell it.',
      },
      {
        key: 'learn',
        label: 'Learn p and mu',
        kind: 'boolean',
        default: true,
        primary: true,
        live: false,
        help: 'Lets every layer learn how far its own p and mu lie from those set here.',
      },
      {
        key: 'as_released',
        label: 'As released',
        kind: 'boolean',
        default: false,
        primary: false,
        live: false,
        help: 'Leaves out the part of a message that a node sends itself, as the authors’ code does.',
      },
      {
        key: 'mlp_adapter',
        label: 'Adapters beside MLPs',
        kind: 'boolean',
        default: true,
        primary: false,
        live: false,
        help: 'Puts an ordinary bottleneck adapter beside each MLP as well.',
      },
      bottleneckSettings.lastBlocks,
    ],
  },

  attach(model, settings): Attachment {
    const attentions = attentionTargets(model, settings);
    const branches = settings.mlp_adapter
      ? inLastBlocks(
          model.branches.filter((b) => b.kind === 'mlp'),
          model.blocks,
          settings,
        )
      : [];
    const places = new Map(attentions.map((a) => [outputOf(a.path), a]));
    const mlps = new Set(branches.map((b) => b.path));
    return {
      targets: [...attentions, ...branches].map((c) => c.path),
      parameters: [
        ...attentions.flatMap((a) => parameters(a, model, settings)),
        ...branches.flatMap((b) =>
          bottleneckParameters(
            b.path,
            b.width,
            Math.max(1, Math.floor(b.width / (settings.reduction as number))),
          ),
        ),
      ],
      knobs: ['p', 'mu'].map((name) => ({ name, value: settings[name] as number })),
      intercept(own) {
        const seen = new Map<string, AttentionCall>();
        return {
          attention(call) {
            seen.set(call.path, call);
            return null;
          },
          layer(call) {
            const card = places.get(call.path);
            const attended = card && seen.get(card.path);
            return attended ? behindAttention(own, call, attended, settings) : null;
          },
          branch(call) {
            if (!mlps.has(call.path)) return null;
            return add(call.frozen(), bottleneck(own, call.path, call.x, 'relu', 0));
          },
        };
      },
    };
  },

  unmergeable:
    'p-Adapter’s messages depend on the picture, so they cannot be folded into weights. They are computed beside the attention at every use.',
};

const outputOf = (path: string) => `${path}.o_proj`;

function attentionTargets(model: ModelDescription, settings: Settings): AttentionCard[] {
  const found = model.attentions.filter((a) => model.modules.some((m) => m.path === outputOf(a.path)));
  if (!found.length)
    throw new MethodError(
      'p-Adapter works on the graph of an attention, and this backbone has none. Choose a transformer, or a method that goes beside layers.',
    );
  return inLastBlocks(found, model.blocks, settings);
}

/** Features of the nodes: D / reduction, brought to a multiple of the heads. */
function nodeWidth({ heads, width }: AttentionCard, settings: Settings): number {
  return heads * Math.max(1, Math.round(width / (settings.reduction as number) / heads));
}

const namesOf = (path: string) => ({
  down: `${path}.p_adapter.down`,
  gate: `${path}.p_adapter.gate`,
  up: `${path}.p_adapter.up`,
  p: `${path}.p_adapter.p`,
  mu: `${path}.p_adapter.mu`,
});

function parameters(card: AttentionCard, model: ModelDescription, settings: Settings): AddedParameter[] {
  const names = namesOf(card.path);
  const features = model.modules.find((m) => m.path === outputOf(card.path))!.shape[0];
  const width = nodeWidth(card, settings);
  const layer = (name: string, [out, inputs]: [number, number], initial: AddedParameter['initial']) => [
    { name: `${name}.weight`, shape: [out, inputs], initial },
    { name: `${name}.bias`, shape: [out], initial: zerosOf(out) },
  ];
  const scalar = (name: string): AddedParameter => ({
    name,
    shape: [1],
    initial: zerosOf(1),
    rule: { decay: false },
  });
  return [
    ...layer(names.down, [width, features], kaiming(width * features, features)),
    ...layer(names.gate, [width, features], kaiming(width * features, features)),
    ...layer(names.up, [features, width], zerosOf(features * width)),
    ...(settings.learn ? [scalar(names.p), scalar(names.mu)] : []),
  ];
}

/** h + up(GELU(gate(h)) · m) for the output h of the attention's projection. */
function behindAttention(
  own: AttachmentScope,
  call: LayerCall,
  attended: AttentionCall,
  settings: Settings,
): Tensor {
  const names = namesOf(attended.path);
  const layer = (x: Tensor, name: string) =>
    linear(x, own.parameter(`${name}.weight`), own.parameter(`${name}.bias`));
  const nodes = (x: Tensor) => inHeads(layer(call.apply(call.weight, x), names.down), attended.options.heads);
  const [p, mu0] = [own.knob('p'), own.knob('mu')];
  const shift = (name: string) => reshape(own.parameter(name), []);
  const m = messages({
    edges: attentionProbabilities(attended),
    queries: nodes(attended.q),
    values: nodes(attended.v),
    p: settings.learn ? add(p, shift(names.p)) : p,
    mu: settings.learn ? mul(mu0, add(tanh(shift(names.mu)), 2)) : mul(mu0, 2),
    itself: !settings.as_released,
  });
  const h = call.frozen();
  return add(h, layer(mul(gelu(layer(h, names.gate)), outOfHeads(m)), names.up));
}

/** x [B, T, H d] as [B, H, T, d]. */
function inHeads(x: Tensor, heads: number): Tensor {
  const [batch, tokens, width] = x.shape;
  return transpose(reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
}

function outOfHeads(x: Tensor): Tensor {
  const [batch, heads, tokens, width] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, tokens, heads * width]);
}

/** Attention probabilities [B, H, Tq, Tk]. Throws `MethodError` for causal or masked attention and heads that share keys. */
function attentionProbabilities({ path, q, k, options }: AttentionCall): Tensor {
  const { heads, causal, bias, scale = 1 / Math.sqrt(q.shape[2] / heads) } = options;
  // An edge of no probability has no finite weight below p = 2.
  if (causal || bias || k.shape[2] !== q.shape[2])
    throw new MethodError(
      `p-Adapter takes attention both ways, without a mask, with keys for every head, and '${path}' is of another kind. Choose another method for this backbone.`,
    );
  return softmax(mul(matmul(inHeads(q, heads), inHeads(k, heads), { tb: true }), scale));
}

/** Edges A′ [B, H, Tq, Tk] of nodes [B, H, T, d]: A (√A ‖f_i − f_j‖)^(p − 2). At p = 2 they are A to the bit. */
export function reweighted(edges: Tensor, queries: Tensor, values: Tensor, p: Tensor): Tensor {
  const squares = (x: Tensor) => reduceSum(mul(x, x), [3], true);
  const product = matmul(queries, values, { tb: true });
  const distance = sub(add(squares(queries), transpose(squares(values), [0, 1, 3, 2])), mul(product, 2));
  const slope = mul(add(edges, EPS), add(clamp(distance, 0, Number.MAX_SAFE_INTEGER), EPS));
  return mul(edges, exp(mul(log(slope), mul(sub(p, 2), 0.5))));
}

export interface Graph {
  /** A, [B, H, Tq, Tk]. */
  edges: Tensor;
  /** Nodes f, [B, H, T, d]. */
  queries: Tensor;
  values: Tensor;
  /** Scalars. */
  p: Tensor;
  mu: Tensor;
  /** Whether beta's term, a node's message to itself, is there. */
  itself: boolean;
}

/** m [B, H, Tq, d] of the queries' nodes. */
export function messages({ edges, queries, values, p, mu, itself }: Graph): Tensor {
  const weights = reweighted(edges, queries, values, p);
  const rest = div(mul(mu, 2), p);
  const from = matmul(weights, values);
  const whole = itself ? add(from, mul(queries, rest)) : from;
  return div(whole, add(reduceSum(weights, [3], true), rest));
}
