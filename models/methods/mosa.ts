import {
  add,
  equal,
  gelu,
  layerNorm,
  linear,
  mul,
  reshape,
  slice,
  type Tensor,
  where,
} from '../../gpu-shaders/index.ts';
import type { BranchCard } from '../describe.ts';
import { bottleneckNames, bottleneckSettings, branchTargets, kaiming, zerosOf } from './bottleneck.ts';
import {
  type AddedBuffer,
  type AddedParameter,
  type Attachment,
  type AttachmentScope,
  type Method,
  MethodError,
} from './method.ts';

/**
 * Sparse adapters that train apart and merge (Zhang et al., 2023, section 3): random masks of equal size divide the
 * up-projection of a bottleneck (LayerNorm, down, GELU, up; beside the MLP branch) among N experts. In each forward pass
 * of a training step each layer draws one expert, and only its part acts; a second pass draws anew, and both outputs are
 * drawn together by the mean of their KL divergences. For evaluation and in files the experts are averaged, so that
 * each part counts 1/N: one adapter of the dense one's size. In the hierarchical strategy all experts share the down-
 * projection, dense; otherwise it is divided too: an expert then has the drawn start and its own part of the change.
 * Biases are whole in every expert, one tensor for all.
 */
export const mosa: Method = {
  card: {
    id: 'mosa',
    title: 'MoSA',
    about: 'Divides an adapter into sparse parts that take turns in training and are merged into one.',
    paper: {
      title: 'MoSA: Mixture of Sparse Adapters for Visual Efficient Tuning',
      year: 2023,
      url: 'arxiv.org/abs/2312.02923',
    },
    formula: 'branch + adapter.up.weight:up · GELU · adapter.down.weight:down',
    channels: [],
    settings: [
      bottleneckSettings.width,
      {
        key: 'experts',
        label: 'Experts',
        kind: 'integer',
        default: 4,
        min: 1,
        max: 16,
        step: 1,
        primary: true,
        live: false,
        help: 'Parts that the adapter is divided into; with 1 it is a dense adapter.',
      },
      {
        key: 'strategy',
        label: 'Strategy',
        kind: 'choice',
        default: 'hierarchical',
        options: [
          { value: 'hierarchical', label: 'Shared first layer' },
          { value: 'split', label: 'Both layers divided' },
        ],
        primary: true,
        live: false,
        help: 'Whether all experts share a dense first layer, or each has its own part of it.',
      },
      {
        key: 'consistency',
        label: 'Consistency',
        kind: 'number',
        default: 1,
        min: 0,
        max: 10,
        step: 0.1,
        primary: false,
        live: false,
        help: 'How strongly two draws of experts are made to agree; 0 leaves the second forward pass out.',
      },
      { ...bottleneckSettings.scale, primary: false },
      bottleneckSettings.lastBlocks,
      bottleneckSettings.dropout,
    ],
  },

  attach(model, settings): Attachment {
    const branches = branchTargets(model, settings, 'MoSA', ['mlp']);
    const width = settings.bottleneck as number;
    const experts = settings.experts as number;
    const split = settings.strategy === 'split';
    const small = branches.find((b) => b.width * width < experts);
    if (small)
      throw new MethodError(
        `The ${small.width * width} weights of an adapter at '${small.path}' cannot be divided among ${experts} experts. Choose fewer experts or a wider bottleneck.`,
      );
    const targets = branches.map((b) => b.path);
    const order = new Map(targets.map((path, i) => [path, i]));
    const lottery = (_: number, draw: () => number) => targets.map(() => Math.floor(draw() * experts));
    return {
      targets,
      parameters: branches.flatMap((b) => parameters(b, width, split)),
      buffers: branches.flatMap((b) => buffers(b, width, experts, split)),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      draws: ['expert', 'expert again'].map((name) => ({ name, shape: [targets.length], at: lottery })),
      consistency: (settings.consistency as number) || undefined,
      intercept: (own) => ({
        branch(call) {
          const i = order.get(call.path);
          if (i === undefined) return null;
          const names = namesOf(call.path);
          const part = partOf(own, i, experts);
          const up = part(own.parameter(names.up), names.upPart);
          const down = split
            ? add(own.buffer(names.downStart), part(own.parameter(names.down), names.downPart))
            : own.parameter(names.down);
          const x = layerNorm(call.x, own.parameter(names.norm), own.parameter(names.normBias), EPS);
          const inner = gelu(linear(x, down, own.parameter(names.downBias)));
          const dropped = own.dropout(inner, settings.adapter_dropout as number);
          const added = linear(dropped, up, own.parameter(names.upBias));
          return add(call.frozen(), mul(added, own.knob('scale')));
        },
      }),
    };
  },

  unmergeable:
    'MoSA’s merged adapter has a nonlinearity between its two layers, so it cannot be folded into weights. It stays beside the branches and is computed at every use.',
};

const EPS = 1e-5;

const namesOf = (path: string) => ({
  ...bottleneckNames(path),
  norm: `${path}.adapter.norm.weight`,
  normBias: `${path}.adapter.norm.bias`,
  downStart: `${path}.adapter.down.start`,
  downPart: `${path}.adapter.down.part`,
  upPart: `${path}.adapter.up.part`,
});

function parameters({ path, width: features }: BranchCard, width: number, split: boolean): AddedParameter[] {
  const names = namesOf(path);
  const count = width * features;
  // Whoever was not drawn is left alone, moments and decay too, as an expert of its own would be.
  const rule = { sparse: true };
  return [
    { name: names.norm, shape: [features], initial: () => new Float32Array(features).fill(1) },
    { name: names.normBias, shape: [features], initial: zerosOf(features) },
    split
      ? { name: names.down, shape: [width, features], initial: zerosOf(count), rule }
      : { name: names.down, shape: [width, features], initial: kaiming(count, features) },
    { name: names.downBias, shape: [width], initial: zerosOf(width) },
    { name: names.up, shape: [features, width], initial: zerosOf(count), rule },
    { name: names.upBias, shape: [features], initial: zerosOf(features) },
  ];
}

/** Which expert has each weight, and the start of a divided down-projection. */
function buffers(
  { path, width: features }: BranchCard,
  width: number,
  experts: number,
  split: boolean,
): AddedBuffer[] {
  const names = namesOf(path);
  const count = width * features;
  const parts = (draw: () => number) => partition(count, experts, draw);
  const up: AddedBuffer = { name: names.upPart, shape: [features, width], initial: parts };
  if (!split) return [up];
  return [
    up,
    { name: names.downPart, shape: [width, features], initial: parts },
    { name: names.downStart, shape: [width, features], initial: kaiming(count, features) },
  ];
}

/** The expert of each of `count` weights: random scores in order, cut into parts of equal size (to within one). */
export function partition(count: number, experts: number, draw: () => number): Float32Array {
  const scores = Float64Array.from({ length: count }, draw);
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort((i, j) => scores[i] - scores[j]);
  const parts = new Float32Array(count);
  order.forEach((at, rank) => {
    parts[at] = Math.floor((rank * experts) / count);
  });
  return parts;
}

/** What the drawn expert of layer `i` has of a tensor; at rest, every expert's part divided by their number. */
function partOf(own: AttachmentScope, i: number, experts: number) {
  if (!own.training) return (t: Tensor, _: string) => mul(t, 1 / experts);
  const drawn = own.draw(own.pass ? 'expert again' : 'expert');
  const expert = reshape(slice(drawn, [i], [1]), []);
  return (t: Tensor, parts: string) => where(equal(own.buffer(parts), expert), t, 0);
}
