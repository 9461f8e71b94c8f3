import { add, conv2d, linear, mul, type Tensor } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import type { LayerCall } from '../scope.ts';
import {
  type AddedParameter,
  type Attachment,
  type LowRankUpdate,
  type Method,
  MethodError,
} from './method.ts';
import { resolveTargets } from './targets.ts';

/** y = W x + (alpha / r) B A dropout(x), with A drawn at random and B zero (Hu et al., 2022, eq. 3). */
export const lora: Method = {
  card: {
    id: 'lora',
    title: 'LoRA',
    about: 'Adds a low-rank update beside chosen layers; only its two thin factors and the head are trained.',
    paper: {
      title: 'LoRA: Low-Rank Adaptation of Large Language Models',
      year: 2022,
      url: 'arxiv.org/abs/2106.09685',
    },
    channels: ['spectrum'],
    settings: [
      {
        key: 'r',
        label: 'Rank',
        kind: 'integer',
        default: 8,
        min: 1,
        max: 256,
        step: 1,
        scale: 'log',
        primary: true,
        live: false,
        help: 'Width of the update: a higher rank can change more and makes a larger file.',
      },
      {
        key: 'lora_alpha',
        label: 'Alpha',
        kind: 'number',
        default: 16,
        min: 0.5,
        max: 512,
        step: 0.5,
        scale: 'log',
        primary: false,
        live: false,
        help: 'The update is multiplied by alpha divided by rank.',
      },
      {
        key: 'scale',
        label: 'LoRA scale',
        kind: 'number',
        default: 1,
        min: 0,
        max: 2,
        step: 0.05,
        primary: false,
        live: true,
        help: 'Multiplies the update once more; 0 shows the frozen backbone under the trained head.',
      },
      {
        key: 'lora_dropout',
        label: 'Dropout',
        kind: 'number',
        default: 0,
        min: 0,
        max: 0.9,
        step: 0.05,
        primary: false,
        live: false,
        help: 'Share of the inputs of the update that a training step leaves out.',
      },
      {
        key: 'target_modules',
        label: 'Target modules',
        kind: 'modules',
        default: [],
        primary: true,
        live: false,
        help: 'The layers that get an update. More layers learn more and cost more.',
      },
    ],
  },

  attach(model, settings): Attachment {
    const rank = settings.r as number;
    const scale = (settings.lora_alpha as number) / rank;
    const modules = resolveTargets(model.modules, settings.target_modules as string[]);
    const grouped = modules.find((m) => m.kind === 'conv2d' && m.grouped);
    if (grouped)
      throw new MethodError(
        `'${grouped.path}' is a grouped convolution, which LoRA does not adapt. Leave it out of the target modules.`,
      );
    const targets = new Map(modules.map((m) => [m.path, m]));
    return {
      targets: [...targets.keys()],
      parameters: modules.flatMap((m) => factors(m, rank)),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          if (!targets.has(call.path)) return null;
          const a = own.parameter(`${call.path}.lora_A.weight`);
          const b = own.parameter(`${call.path}.lora_B.weight`);
          const x = own.dropout(call.x, settings.lora_dropout as number);
          return add(call.frozen(), mul(update(call, x, a, b), mul(own.knob('scale'), scale)));
        },
      }),
    };
  },

  toLowRank: (attachment, settings, tensors) =>
    attachment.targets.map((path) => ({
      path,
      a: tensors.get(`${path}.lora_A.weight`)!,
      b: tensors.get(`${path}.lora_B.weight`)!,
      scale: ((settings.lora_alpha as number) / (settings.r as number)) * (settings.scale as number),
    })),

  fromLowRank(updates) {
    const ranks = new Set(updates.map((u) => u.a.shape[0]));
    const scales = new Set(updates.map((u) => u.scale));
    const r = Math.max(...ranks);
    const tensors = new Map(
      updates.flatMap((u) => [
        [`${u.path}.lora_A.weight`, padRows(u.a, r)] as const,
        [`${u.path}.lora_B.weight`, padColumns(scaled(u.b, scales.size > 1 ? u.scale : 1), r)] as const,
      ]),
    );
    const settings: Settings = {
      r,
      lora_alpha: r * (scales.size > 1 ? 1 : updates[0].scale),
      scale: 1,
      lora_dropout: 0,
      target_modules: updates.map((u) => u.path),
    };
    return { settings, tensors };
  },
};

/** A convolution's first factor keeps its kernel, stride and padding; the second is 1×1 (PEFT's Conv2d LoRA). */
function update(call: LayerCall, x: Tensor, a: Tensor, b: Tensor): Tensor {
  return call.kind === 'linear' ? linear(linear(x, a), b) : conv2d(conv2d(x, a, call.options), b);
}

function factors(m: ModuleCard, rank: number): AddedParameter[] {
  const [out, inputs, ...kernel] = m.shape;
  const fanIn = [inputs, ...kernel].reduce((n, d) => n * d, 1);
  // PyTorch's kaiming_uniform_ with a = √5 draws from ±1/√fan_in.
  const bound = 1 / Math.sqrt(fanIn);
  const one = kernel.map(() => 1);
  return [
    {
      name: `${m.path}.lora_A.weight`,
      shape: [rank, inputs, ...kernel],
      initial: (random) => Float32Array.from({ length: rank * fanIn }, () => (2 * random() - 1) * bound),
    },
    {
      name: `${m.path}.lora_B.weight`,
      shape: [out, rank, ...one],
      initial: () => new Float32Array(out * rank),
    },
  ];
}

type Factor = LowRankUpdate['a'];

function scaled(t: Factor, by: number): Factor {
  return by === 1 ? t : { shape: t.shape, data: t.data.map((x) => x * by) };
}

/** Files may carry ranks that differ by module; zero rows and columns bring all to the largest without a change. */
function padRows(t: Factor, rows: number): Factor {
  if (t.shape[0] === rows) return t;
  const data = new Float32Array((t.data.length / t.shape[0]) * rows);
  data.set(t.data);
  return { shape: [rows, ...t.shape.slice(1)], data };
}

function padColumns(t: Factor, columns: number): Factor {
  const [out, r, ...rest] = t.shape;
  if (r === columns) return t;
  const data = new Float32Array(out * columns);
  for (let i = 0; i < out; i++) data.set(t.data.subarray(i * r, (i + 1) * r), i * columns);
  return { shape: [out, columns, ...rest], data };
}
