import { add, linear, mul, reshape, sizeOf, sub, type Tensor, transpose } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { isStrided, type LayerCall } from '../scope.ts';
import { loraSettings, matrixTargets } from './loraParts.ts';
import {
  type KroneckerSplit,
  kroneckerSum,
  kroneckerTerms,
  type RankRule,
  ruledRank,
  splitOf,
} from './math/kronecker.ts';
import { matrixOf } from './math/matrix.ts';
import { type Attachment, type Base, type Method, MethodError, type Tensors } from './method.ts';

/**
 * The weight's strongest Kronecker terms, trained: y = W x + Σₖ (Uₖ ⊗ Vₖ - U⁰ₖ ⊗ V⁰ₖ) x. The start U⁰, V⁰ is the
 * Kronecker-product SVD of W, cut where its energy or the elbow of its spectrum says (SoKA, 2025); U⁰ and V⁰ are
 * buffers, so the frozen weight stays as it is. A product is applied by its factors alone: (U ⊗ V) x = vec(U X Vᵀ), X
 * being x as a [n1, n2] matrix.
 */
export const soka: Method = {
  card: {
    id: 'soka',
    title: 'SoKA',
    about: 'Trains the strongest Kronecker products inside each weight: few numbers that reach all of it.',
    paper: {
      title: 'SVD on Kronecker Adaptation of Large Language Models',
      year: 2025,
      url: 'arxiv.org/abs/2506.15251',
    },
    formula: 'W + Σ kron_u:U ⊗ kron_v:V − Σ kron_u.start:U₀ ⊗ kron_v.start:V₀',
    channels: [],
    settings: [
      {
        ...loraSettings.r,
        label: 'Most terms',
        default: 16,
        help: 'Kronecker products that a layer may have at most; the rule below may keep fewer.',
      },
      {
        key: 'rule',
        label: 'Number of terms',
        kind: 'choice',
        default: 'both',
        options: [
          { value: 'both', label: 'Energy or elbow, the fewer' },
          { value: 'energy', label: 'Energy' },
          { value: 'elbow', label: 'Elbow' },
          { value: 'all', label: 'As many as allowed' },
        ],
        primary: true,
        live: false,
        help: 'How many terms each layer keeps, chosen from its own spectrum.',
      },
      {
        key: 'energy',
        label: 'Energy',
        kind: 'number',
        default: 0.9,
        min: 0.05,
        max: 1,
        step: 0.01,
        primary: false,
        live: false,
        help: 'Share of the squared spectrum that the kept terms should reach.',
      },
      {
        key: 'side',
        label: 'Side of the left factor',
        kind: 'integer',
        default: 0,
        min: 0,
        max: 1024,
        step: 1,
        primary: false,
        live: false,
        help: 'The left factors get the nearest side that divides the layer; 0 makes both factors about alike, which is smallest.',
      },
      { ...loraSettings.scale, label: 'SoKA scale' },
      loraSettings.dropout,
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = matrixTargets(model.modules, settings, 'SoKA');
    const start = remembered(settings);
    const tensors = [...targets.values()].flatMap((m) => {
      const { m1, n1, m2, n2 } = splitFor(m, settings);
      const terms = termsOf(m, settings);
      const names = termNames(m.path);
      const initial = (f: 'u' | 'v') => async (_: () => number, base: Base) => (await start(m, base))[f];
      return [
        { name: names.u, shape: [terms, m1, n1], initial: initial('u') },
        { name: names.v, shape: [terms, m2, n2], initial: initial('v') },
      ];
    });
    const kept = [...targets.values()].map((m) => ({
      name: termNames(m.path).kept,
      shape: [termsOf(m, settings)],
      initial: async (_: () => number, base: Base) => (await start(m, base)).kept,
    }));
    return {
      targets: [...targets.keys()],
      parameters: tensors,
      buffers: [...tensors.map((t) => ({ ...t, name: `${t.name}.start` })), ...kept],
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          if (!targets.has(call.path)) return null;
          checkStride(call);
          const { u, v, kept } = termNames(call.path);
          const x = own.dropout(call.x, settings.lora_dropout as number);
          const mask = own.buffer(kept);
          const now = applyTerms(x, own.parameter(u), own.parameter(v), mask);
          const before = applyTerms(x, own.buffer(`${u}.start`), own.buffer(`${v}.start`), mask);
          return add(call.frozen(), mul(sub(now, before), own.knob('scale')));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    for (const path of attachment.targets) {
      const weight = await base.weight(`${path}.weight`);
      const change = changeOf(path, tensors);
      merged.set(
        `${path}.weight`,
        weight.map((w, i) => w + (settings.scale as number) * change[i]),
      );
    }
    return merged;
  },
};

const termNames = (path: string) => ({
  u: `${path}.kron_u`,
  v: `${path}.kron_v`,
  kept: `${path}.kron_kept`,
});

const splitFor = ({ shape: [out, inputs] }: ModuleCard, settings: Settings): KroneckerSplit =>
  splitOf(out, inputs, settings.side as number);

/** Terms that a module has room for. */
function termsOf(m: ModuleCard, settings: Settings): number {
  const { m1, n1, m2, n2 } = splitFor(m, settings);
  return Math.min(settings.r as number, m1 * n1, m2 * n2);
}

interface Start {
  u: Float32Array;
  v: Float32Array;
  /** 1 for the terms that the rule keeps, 0 behind them. */
  kept: Float32Array;
}

function remembered(settings: Settings) {
  const known = new WeakMap<Base, Map<string, Promise<Start>>>();
  return (m: ModuleCard, base: Base): Promise<Start> => {
    const starts = known.get(base) ?? new Map<string, Promise<Start>>();
    known.set(base, starts);
    const start = starts.get(m.path) ?? startOf(m, settings, base);
    starts.set(m.path, start);
    return start;
  };
}

async function startOf(m: ModuleCard, settings: Settings, base: Base): Promise<Start> {
  const w = matrixOf({ shape: m.shape, data: await base.weight(`${m.path}.weight`) });
  const terms = termsOf(m, settings);
  const { values, u, v } = kroneckerTerms(w, splitFor(m, settings), terms);
  const count = ruledRank(values, settings.rule as RankRule, settings.energy as number);
  return {
    u: Float32Array.from(u.data),
    v: Float32Array.from(v.data),
    kept: Float32Array.from({ length: terms }, (_, k) => (k < count ? 1 : 0)),
  };
}

/** Σ (Uₖ ⊗ Vₖ) x over the kept terms: x [..., n1 n2], u [r, m1, n1], v [r, m2, n2], kept [r]; [..., m1 m2]. */
function applyTerms(x: Tensor, u: Tensor, v: Tensor, kept: Tensor): Tensor {
  const [r, m1, n1] = u.shape;
  const [, m2, n2] = v.shape;
  const rows = sizeOf(x.shape) / (n1 * n2);
  const right = linear(reshape(x, [rows * n1, n2]), reshape(v, [r * m2, n2]));
  const turned = transpose(reshape(right, [rows, n1, r, m2]), [0, 3, 2, 1]);
  const masked = mul(u, reshape(kept, [r, 1, 1]));
  const left = reshape(transpose(masked, [1, 0, 2]), [m1, r * n1]);
  const both = linear(reshape(turned, [rows * m2, r * n1]), left);
  const whole = transpose(reshape(both, [rows, m2, m1]), [0, 2, 1]);
  return reshape(whole, [...x.shape.slice(0, -1), m1 * m2]);
}

function checkStride({ path, options }: LayerCall): void {
  if (isStrided(options) || (typeof options.padding === 'number' && options.padding > 0))
    throw new MethodError(
      `'${path}' is a convolution that skips or pads pixels, which SoKA does not adapt. Leave it out of the target modules.`,
    );
}

/** Σ (Uₖ ⊗ Vₖ - U⁰ₖ ⊗ V⁰ₖ) over the kept terms, [out, in]. */
function changeOf(path: string, tensors: Tensors): Float64Array {
  const names = termNames(path);
  const kept = tensors.get(names.kept)!.data;
  const sum = (suffix: string) => {
    const [u, v] = [tensors.get(`${names.u}${suffix}`)!, tensors.get(`${names.v}${suffix}`)!];
    const [, m1, n1] = u.shape;
    const [, m2, n2] = v.shape;
    const width = m1 * n1;
    const left = matrixOf({ shape: u.shape, data: u.data.map((x, i) => x * kept[Math.floor(i / width)]) });
    return kroneckerSum(left, matrixOf(v), { m1, n1, m2, n2 }).data;
  };
  const before = sum('.start');
  return sum('').map((x, i) => x - before[i]);
}
