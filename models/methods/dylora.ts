import {
  add,
  clamp,
  constant,
  conv2d,
  div,
  linear,
  minimum,
  mul,
  reshape,
  stopGradient,
  sub,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { Settings } from '../describe.ts';
import type { LayerCall } from '../scope.ts';
import { factorNames, factors, loraSettings, loraTargets } from './loraParts.ts';
import type { Attachment, AttachmentScope, LowRankUpdate, Method } from './method.ts';

/** Chance of each rank against that of the one below it, where the draw is geometric. */
const RATIO = 0.85;

/**
 * Low-rank updates of every rank at once (Valipour et al., 2023, algorithm 1): each step draws one rank b in
 * 1..r for all layers, and y = W x + (alpha / b) B[:, :b] A[:b, :] x. In frozen mode only row b of A and column b of B
 * learn (those below take part as they are); in nested mode the first b do. What is not learnt in a step is left alone
 * by the optimiser, moments and decay too. Afterwards any b is an adapter of its own: rows 1..b with alpha / b.
 */
export const dylora: Method = {
  card: {
    id: 'dylora',
    title: 'DyLoRA',
    about: 'A low-rank update that is trained for all ranks at once; the rank is chosen after training.',
    paper: {
      title:
        'DyLoRA: Parameter-Efficient Tuning of Pre-trained Models using Dynamic Search-Free Low-Rank Adaptation',
      year: 2023,
      url: 'arxiv.org/abs/2210.07558',
    },
    formula: 'W + lora_B.weight:B · lora_A.weight:A',
    channels: ['spectrum'],
    settings: [
      { ...loraSettings.r, label: 'Largest rank', help: 'Ranks from 1 to this are trained at once.' },
      {
        key: 'rank',
        label: 'Rank in use',
        kind: 'integer',
        default: 8,
        min: 1,
        max: 256,
        step: 1,
        primary: true,
        live: true,
        help: 'The rank that evaluation and files cut the update to; above the largest it is the largest.',
      },
      {
        key: 'mode',
        label: 'Rows that learn',
        kind: 'choice',
        default: 'frozen',
        options: [
          { value: 'frozen', label: 'The drawn row only' },
          { value: 'nested', label: 'All rows up to it' },
        ],
        primary: true,
        live: false,
        help: 'Whether a step of rank b changes only row b of the update, or all of the first b.',
      },
      {
        key: 'distribution',
        label: 'Draw of the rank',
        kind: 'choice',
        default: 'uniform',
        options: [
          { value: 'uniform', label: 'Uniform' },
          { value: 'geometric', label: 'Geometric, low ranks more often' },
        ],
        primary: false,
        live: false,
        help: 'How often each rank is trained; geometric makes each rank 0.85 times as likely as the one below.',
      },
      loraSettings.alpha,
      loraSettings.dropout,
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = loraTargets(model.modules, settings, 'DyLoRA');
    const r = settings.r as number;
    return {
      targets: [...targets.keys()],
      parameters: [...targets.values()].flatMap((m) =>
        factors(m, r).map((p) => ({ ...p, rule: { sparse: true } })),
      ),
      knobs: [{ name: 'rank', value: settings.rank as number }],
      draws: [{ name: 'rank', shape: [], at: (_, draw) => [drawnRank(r, draw(), settings)] }],
      intercept: (own) => ({
        layer(call) {
          if (!targets.has(call.path)) return null;
          const rank = own.training ? own.draw('rank') : minimum(own.knob('rank'), r);
          const x = own.dropout(call.x, settings.lora_dropout as number);
          const update = applyAtRank(call, x, own, rank, r, settings);
          return add(call.frozen(), mul(update, div(settings.lora_alpha as number, rank)));
        },
      }),
    };
  },

  toLowRank: (attachment, settings, tensors) =>
    attachment.targets.map((path) => {
      const { a, b } = factorNames(path);
      const rank = Math.min(settings.rank as number, settings.r as number);
      return {
        path,
        a: firstRows(tensors.get(a)!, rank),
        b: firstColumns(tensors.get(b)!, rank),
        scale: (settings.lora_alpha as number) / rank,
      };
    }),
};

/** A rank in 1..r from a number in [0, 1). */
function drawnRank(r: number, u: number, { distribution }: Settings): number {
  if (distribution === 'uniform') return 1 + Math.floor(u * r);
  // The inverse of the distribution function of a geometric draw that ends at r.
  return Math.min(r, 1 + Math.floor(Math.log(1 - u * (1 - RATIO ** r)) / Math.log(RATIO)));
}

/** B[:, :rank] A[:rank, :] x, with gradients for the rows that learn. */
function applyAtRank(
  call: LayerCall,
  x: Tensor,
  own: AttachmentScope,
  rank: Tensor,
  r: number,
  { mode }: Settings,
): Tensor {
  const names = factorNames(call.path);
  const [a, b] = [own.parameter(names.a), own.parameter(names.b)];
  const upTo = (limit: Tensor) => clamp(sub(limit, rows(r)), 0, 1);
  const kept = upTo(rank);
  const parts = (t: Tensor, shape: number[]) => {
    if (!own.training || mode === 'nested') return mul(t, reshape(kept, shape));
    const below = upTo(sub(rank, 1));
    return add(mul(stopGradient(t), reshape(below, shape)), mul(t, reshape(sub(kept, below), shape)));
  };
  const rest = a.shape.slice(2).map(() => 1);
  const first = parts(a, [r, 1, ...rest]);
  const second = parts(b, [1, r, ...rest]);
  return call.kind === 'linear'
    ? linear(linear(x, first), second)
    : conv2d(conv2d(x, first, call.options), second);
}

const rows = (r: number) =>
  constant(
    Float32Array.from({ length: r }, (_, i) => i),
    [r],
  );

type Factor = LowRankUpdate['a'];

function firstRows({ shape: [r, ...rest], data }: Factor, rank: number): Factor {
  return { shape: [rank, ...rest], data: data.slice(0, (data.length / r) * rank) };
}

function firstColumns({ shape: [out, r, ...rest], data }: Factor, rank: number): Factor {
  const cut = new Float32Array(out * rank);
  for (let i = 0; i < out; i++) cut.set(data.subarray(i * r, i * r + rank), i * rank);
  return { shape: [out, rank, ...rest], data: cut };
}
