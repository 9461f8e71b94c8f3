import {
  add,
  constant,
  conv2d,
  linear,
  matmul,
  mul,
  reduceSum,
  reshape,
  sqrt,
  sub,
  type Tensor,
} from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { adaloraForm } from './adaloraForm.ts';
import { allocation, allocationBuffers, tripletNames, tripletShapes } from './adaloraParts.ts';
import { loraSettings, loraTargets } from './loraParts.ts';
import { identity } from './math/matrix.ts';
import {
  type AddedParameter,
  type Attachment,
  type AttachmentScope,
  type Method,
  MethodError,
} from './method.ts';

/**
 * y = W x + s B diag(E) A x with A and B kept near orthonormal by a penalty, so that E are near singular values; the least
 * important triplets of all modules together are set to zero until a budget is met (Zhang et al., 2023, eq. 3, 4, 7 to
 * 12). The scale is alpha / r and the penalty the mean of ‖A Aᵀ - I‖ and ‖Bᵀ B - I‖, as in PEFT.
 */
export const adalora: Method = {
  card: {
    id: 'adalora',
    title: 'AdaLoRA',
    about: 'LoRA that moves its ranks to the layers that need them while it trains.',
    paper: {
      title: 'AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning',
      year: 2023,
      url: 'arxiv.org/abs/2303.10512',
    },
    formula: 'W + lora_B:B · lora_E:E ⊙ lora_A:A',
    channels: ['spectrum'],
    settings: [
      {
        ...loraSettings.r,
        key: 'init_r',
        label: 'Rank at the start',
        default: 12,
        help: 'Rank that every layer starts with; half as much again as the one in the end is usual.',
      },
      {
        ...loraSettings.r,
        key: 'target_r',
        label: 'Mean rank in the end',
        help: 'Ranks that are left in the mean over the layers when the cutting is done.',
      },
      loraSettings.alpha,
      share('tinit', 'Steps before the cut', 0.1, 'Share of the run before any rank is cut.'),
      share(
        'tfinal',
        'Steps after the cut',
        0.3,
        'Share of the run that trains with the ranks as they are in the end.',
      ),
      {
        key: 'deltaT',
        label: 'Steps between cuts',
        kind: 'integer',
        default: 1,
        min: 1,
        max: 1000,
        step: 1,
        scale: 'log',
        primary: false,
        live: false,
        help: 'How often ranks are chosen anew while the budget shrinks.',
      },
      smoothing('beta1', 'Smoothing of sensitivity'),
      smoothing('beta2', 'Smoothing of uncertainty'),
      {
        key: 'orth_reg_weight',
        label: 'Orthogonality',
        kind: 'number',
        default: 0.5,
        min: 0,
        max: 10,
        step: 0.05,
        primary: false,
        live: false,
        help: 'Strength of the penalty that keeps the directions of an update at right angles.',
      },
      { ...loraSettings.scale, label: 'AdaLoRA scale' },
      loraSettings.dropout,
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const [r, target] = [settings.init_r as number, settings.target_r as number];
    if (target > r)
      throw new MethodError(
        `The rank at the start is ${r} and the one in the end ${target}: ranks are cut, never added. Choose a start of at least ${target}.`,
      );
    if ((settings.tinit as number) + (settings.tfinal as number) >= 1)
      throw new MethodError(
        'The steps before and after the cut take the whole run, so nothing could be cut. Choose shares whose sum is below 1.',
      );
    const targets = loraTargets(model.modules, settings, 'AdaLoRA');
    const modules = [...targets.values()];
    return {
      targets: [...targets.keys()],
      parameters: modules.flatMap((m) => triplets(m, r)),
      buffers: modules.flatMap((m) => allocationBuffers(m, r)),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      refresh: allocation([...targets.keys()], settings),
      penalty: (own) => orthogonality(own, modules, r, settings.orth_reg_weight as number),
      intercept: (own) => ({
        layer(call) {
          if (!targets.has(call.path)) return null;
          const names = tripletNames(call.path);
          const [a, b] = [own.parameter(names.a), own.parameter(names.b)];
          const e = reshape(mul(own.parameter(names.e), own.buffer(names.kept)), [r]);
          const x = own.dropout(call.x, settings.lora_dropout as number);
          const flat = call.kind === 'linear';
          const hidden = mul(flat ? linear(x, a) : conv2d(x, a, call.options), e);
          const update = flat ? linear(hidden, b) : conv2d(hidden, b);
          return add(call.frozen(), mul(update, mul(own.knob('scale'), scaleOf(settings))));
        },
      }),
    };
  },

  toLowRank: (attachment, settings, tensors) =>
    attachment.targets.map((path) => {
      const names = tripletNames(path);
      const [e, kept, b] = [names.e, names.kept, names.b].map((name) => tensors.get(name)!);
      const r = e.shape[0];
      const data = b.data.map((x, i) => x * e.data[i % r] * kept.data[i % r]);
      return {
        path,
        a: tensors.get(names.a)!,
        b: { shape: b.shape, data },
        scale: scaleOf(settings) * (settings.scale as number),
      };
    }),

  peft: adaloraForm,
};

/** PEFT's, whose rank is never zero. */
const scaleOf = (settings: Settings) =>
  (settings.lora_alpha as number) / ((settings.init_r as number) + 1e-5);

function triplets(m: ModuleCard, r: number): AddedParameter[] {
  const [names, shapes] = [tripletNames(m.path), tripletShapes(m, r)];
  return [
    { name: names.a, shape: shapes.a, initial: (draw) => normal(shapes.a, draw) },
    { name: names.e, shape: shapes.e, initial: () => new Float32Array(r) },
    { name: names.b, shape: shapes.b, initial: (draw) => normal(shapes.b, draw) },
  ];
}

/** Normal of deviation 0.02, two at a time (Box and Muller, 1958). */
function normal(shape: readonly number[], draw: () => number): Float32Array {
  const values = new Float32Array(shape.reduce((n, d) => n * d, 1));
  for (let i = 0; i < values.length; i += 2) {
    const length = 0.02 * Math.sqrt(-2 * Math.log(1 - draw()));
    const turn = 2 * Math.PI * draw();
    values[i] = length * Math.cos(turn);
    if (i + 1 < values.length) values[i + 1] = length * Math.sin(turn);
  }
  return values;
}

function orthogonality(
  own: AttachmentScope,
  modules: readonly ModuleCard[],
  r: number,
  weight: number,
): Tensor {
  const unit = constant(Float32Array.from(identity(r).data), [r, r]);
  const distances = modules.flatMap((m) => {
    const names = tripletNames(m.path);
    const a = own.parameter(names.a);
    const flat = reshape(a, [r, a.shape.slice(1).reduce((n, d) => n * d, 1)]);
    const b = reshape(own.parameter(names.b), [m.shape[0], r]);
    return [matmul(flat, flat, { tb: true }), matmul(b, b, { ta: true })].map((g) => {
      const off = sub(g, unit);
      // The root has no slope at zero.
      return sqrt(add(reduceSum(mul(off, off)), 1e-20));
    });
  });
  return mul(distances.reduce(add), weight / distances.length);
}

function share(key: string, label: string, value: number, help: string) {
  return {
    key,
    label,
    kind: 'number',
    default: value,
    min: 0,
    max: 0.9,
    step: 0.05,
    primary: false,
    live: false,
    help,
  } as const;
}

function smoothing(key: string, label: string) {
  return {
    key,
    label,
    kind: 'number',
    default: 0.85,
    min: 0.01,
    max: 0.99,
    step: 0.01,
    primary: false,
    live: false,
    help: 'How much of the past the importance of a rank remembers: more is steadier.',
  } as const;
}
