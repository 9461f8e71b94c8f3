import { add, constant, matmul, mul, reshape, type Tensor } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { kaiming, zerosOf } from './bottleneck.ts';
import { lycorisForm, lycorisScale, lycorisSettings } from './lycoris.ts';
import { factorization, product } from './math/products.ts';
import type { AddedParameter, AttachmentScope, Method, Tensors } from './method.ts';
import { resolveTargets } from './targets.ts';

/**
 * y = W x + s (W₁ ⊗ W₂) x (LyCORIS: Yeh et al., 2024, section 3.2). The sides of W are factorised as PEFT does; W₂, and
 * W₁ with `decompose_both`, is a product of rank r where that is smaller. W₁ starts at zero; s = alpha / r. A
 * convolution's kernel belongs to W₂.
 */
export const lokr: Method = {
  card: {
    id: 'lokr',
    title: 'LoKr',
    about:
      'The update is a Kronecker product: a small matrix says how much of a second one goes to each of its blocks.',
    paper: {
      title: 'Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation',
      year: 2024,
      url: 'arxiv.org/abs/2309.14859',
    },
    formula: 'W + lokr_w1:W₁ ⊗ lokr_w2:W₂',
    channels: [],
    settings: [
      lycorisSettings.r,
      lycorisSettings.alpha,
      {
        key: 'decompose_factor',
        label: 'Block factor',
        kind: 'integer',
        default: -1,
        min: -1,
        max: 4096,
        step: 1,
        primary: true,
        live: false,
        help: 'About how many blocks each side of a weight is cut into; -1 takes as many as a block has rows or columns.',
      },
      {
        key: 'decompose_both',
        label: 'Low rank on both sides',
        kind: 'boolean',
        default: false,
        primary: false,
        live: false,
        help: 'Makes the left factor a product of low rank as well, where that is smaller.',
      },
      lycorisSettings.scale,
      lycorisSettings.dropout,
      lycorisSettings.targets,
    ],
  },

  attach(model, settings) {
    const found = resolveTargets(model.modules, settings.target_modules as string[]);
    const targets = new Map(found.map((m) => [m.path, { module: m, split: splitOf(m, settings) }]));
    const r = settings.r as number;
    return {
      targets: [...targets.keys()],
      parameters: found.flatMap((m) => factors(m, splitOf(m, settings), r)),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          const target = targets.get(call.path);
          if (!target) return null;
          const { module, split } = target;
          const scale = mul(own.knob('scale'), lycorisScale(settings));
          // The scale goes onto the small factor.
          const left = mul(factorOf(own, call.path, 1, split), scale);
          const right = factorOf(own, call.path, 2, split);
          const delta = reshape(kronecker(left, right, split), [module.shape[0], -1]);
          const rate = settings.rank_dropout as number;
          const kept = own.training && rate > 0 ? mul(delta, keptRows(own, module.shape[0], rate)) : delta;
          return add(call.frozen(), call.apply(reshape(kept, module.shape)));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    const scale = lycorisScale(settings) * (settings.scale as number);
    for (const path of attachment.targets) {
      const weight = (await base.weight(`${path}.weight`)).slice();
      const [left, right] = [1, 2].map((n) => wholeOf(path, n, tensors));
      const [rows, columns] = [left.rows, left.data.length / left.rows];
      const [height, width] = [right.rows, right.data.length / right.rows];
      for (let i = 0; i < rows; i++)
        for (let k = 0; k < height; k++)
          for (let j = 0; j < columns; j++) {
            const factor = scale * left.data[i * columns + j];
            const at = ((i * height + k) * columns + j) * width;
            for (let n = 0; n < width; n++) weight[at + n] += factor * right.data[k * width + n];
          }
      merged.set(`${path}.weight`, weight);
    }
    return merged;
  },

  peft: lycorisForm('LOKR', {
    config: (settings) => ({
      decompose_both: settings.decompose_both as boolean,
      decompose_factor: settings.decompose_factor as number,
    }),
    scaled: ['lokr_w1', 'lokr_w1_a'],
    pathOf: (name) => /^(.*)\.lokr_w1(?:_a)?$/.exec(name)?.[1],
    settings: (config) => ({
      decompose_both: config.decompose_both === true,
      decompose_factor: (config.decompose_factor as number | undefined) ?? -1,
    }),
  }),
};

/** W [l k, m n, kernel] as l × m blocks of [k, n, kernel]. */
interface Split {
  l: number;
  k: number;
  m: number;
  n: number;
  kernel: readonly number[];
  /** Whether each factor is one matrix, not a product. */
  whole: Readonly<Record<1 | 2, boolean>>;
}

function splitOf({ shape: [out, inputs, ...kernel] }: ModuleCard, settings: Settings): Split {
  const factor = settings.decompose_factor as number;
  const r = settings.r as number;
  const [m, n] = factorization(inputs, factor);
  const [l, k] = factorization(out, factor);
  const whole = {
    1: !(settings.decompose_both && r < Math.max(l, m) / 2),
    2: r >= Math.max(k, n) / 2,
  };
  return { l, k, m, n, kernel, whole };
}

/** PEFT's names. */
const nameOf = (path: string, n: number, side: '' | '_a' | '_b' = '') => `${path}.lokr_w${n}${side}`;

function factors({ path }: ModuleCard, { l, k, m, n, kernel, whole }: Split, r: number): AddedParameter[] {
  const width = kernel.reduce((count, d) => count * d, n);
  const left: AddedParameter[] = whole[1]
    ? [{ name: nameOf(path, 1), shape: [l, m], initial: zerosOf(l * m) }]
    : [
        { name: nameOf(path, 1, '_a'), shape: [l, r], initial: zerosOf(l * r) },
        { name: nameOf(path, 1, '_b'), shape: [r, m], initial: kaiming(r * m, m) },
      ];
  const right: AddedParameter[] = whole[2]
    ? [{ name: nameOf(path, 2), shape: [k, n, ...kernel], initial: kaiming(k * width, width) }]
    : [
        { name: nameOf(path, 2, '_a'), shape: [k, r], initial: kaiming(k * r, r) },
        { name: nameOf(path, 2, '_b'), shape: [r, width], initial: kaiming(r * width, width) },
      ];
  return [...left, ...right];
}

function factorOf(own: AttachmentScope, path: string, n: 1 | 2, { whole }: Split): Tensor {
  if (whole[n]) return own.parameter(nameOf(path, n));
  return matmul(own.parameter(nameOf(path, n, '_a')), own.parameter(nameOf(path, n, '_b')));
}

/** left [l, m] ⊗ right [k, n × taps], as [l, k, m, n × taps]: the order of a weight's own elements. */
function kronecker(left: Tensor, right: Tensor, { l, k, m }: Split): Tensor {
  return mul(reshape(left, [l, 1, m, 1]), reshape(right, [1, k, 1, -1]));
}

function keptRows(own: AttachmentScope, rows: number, rate: number): Tensor {
  return own.dropout(constant(new Float32Array(rows).fill(1), [rows, 1]), rate);
}

function wholeOf(path: string, n: number, tensors: Tensors): { rows: number; data: ArrayLike<number> } {
  const whole = tensors.get(nameOf(path, n));
  if (whole) return { rows: whole.shape[0], data: whole.data };
  const [a, b] = [tensors.get(nameOf(path, n, '_a'))!, tensors.get(nameOf(path, n, '_b'))!];
  return { rows: a.shape[0], data: product(a, b) };
}
