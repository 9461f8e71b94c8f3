import { add, constant, matmul, mul, reshape, type Tensor } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { kaiming, zerosOf } from './bottleneck.ts';
import { fanIn } from './loraParts.ts';
import { lycorisForm, lycorisScale, lycorisSettings } from './lycoris.ts';
import { product } from './math/products.ts';
import type { AttachmentScope, Method, Tensors } from './method.ts';
import { resolveTargets } from './targets.ts';

/**
 * y = W x + s ((A₁ B₁) ∘ (A₂ B₂)) x: the entrywise product of two updates of rank r, whose rank goes up to r²
 * (Hyeon-Woo et al., 2022, proposition 1; LyCORIS: Yeh et al., 2024). B₂ starts at zero; s = alpha / r. A convolution's
 * kernel is part of its inputs, as in PEFT without `use_effective_conv2d`.
 */
export const loha: Method = {
  card: {
    id: 'loha',
    title: 'LoHa',
    about: 'Multiplies two low-rank updates entry by entry, which gives a higher rank for as many numbers.',
    paper: {
      title: 'FedPara: Low-Rank Hadamard Product for Communication-Efficient Federated Learning',
      year: 2022,
      url: 'arxiv.org/abs/2108.06098',
    },
    formula: 'W + ( hada_w1_a:B₁ · hada_w1_b:A₁ ) ⊙ ( hada_w2_a:B₂ · hada_w2_b:A₂ )',
    channels: [],
    settings: [
      lycorisSettings.r,
      lycorisSettings.alpha,
      lycorisSettings.scale,
      lycorisSettings.dropout,
      lycorisSettings.targets,
    ],
  },

  attach(model, settings) {
    const found = resolveTargets(model.modules, settings.target_modules as string[]);
    const targets = new Map(found.map((m) => [m.path, m]));
    const r = settings.r as number;
    return {
      targets: [...targets.keys()],
      parameters: found.flatMap((m) => factors(m, r)),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          const m = targets.get(call.path);
          if (!m) return null;
          const delta = mul(change(own, m, settings), mul(own.knob('scale'), lycorisScale(settings)));
          return add(call.frozen(), call.apply(reshape(delta, m.shape)));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    const scale = lycorisScale(settings) * (settings.scale as number);
    for (const path of attachment.targets) {
      const weight = await base.weight(`${path}.weight`);
      const [first, second] = [1, 2].map((n) => product(...pairOf(path, n, tensors)));
      merged.set(
        `${path}.weight`,
        weight.map((w, i) => w + scale * first[i] * second[i]),
      );
    }
    return merged;
  },

  peft: lycorisForm('LOHA', {
    config: () => ({}),
    // The first factor of all carries the strength.
    scaled: 'hada_w2_a',
    pathOf: (name) => /^(.*)\.hada_w1_a$/.exec(name)?.[1],
    settings: () => ({}),
  }),
};

/** PEFT's names. */
const nameOf = (path: string, n: number, side: 'a' | 'b') => `${path}.hada_w${n}_${side}`;

function factors(m: ModuleCard, r: number) {
  const [out, width] = [m.shape[0], fanIn(m)];
  return [1, 2].flatMap((n) => [
    { name: nameOf(m.path, n, 'a'), shape: [out, r], initial: kaiming(out * r, r) },
    {
      name: nameOf(m.path, n, 'b'),
      shape: [r, width],
      initial: n === 1 ? kaiming(r * width, width) : zerosOf(r * width),
    },
  ]);
}

/** (A₁ B₁) ∘ (A₂ B₂), [out, inputs × taps], rows left out in training. */
function change(own: AttachmentScope, m: ModuleCard, settings: Settings): Tensor {
  const [first, second] = [1, 2].map((n) =>
    matmul(own.parameter(nameOf(m.path, n, 'a')), own.parameter(nameOf(m.path, n, 'b'))),
  );
  const whole = mul(first, second);
  const rate = settings.rank_dropout as number;
  if (!own.training || rate === 0) return whole;
  const out = m.shape[0];
  return mul(whole, own.dropout(constant(new Float32Array(out).fill(1), [out, 1]), rate));
}

function pairOf(path: string, n: number, tensors: Tensors): Parameters<typeof product> {
  return [tensors.get(nameOf(path, n, 'a'))!, tensors.get(nameOf(path, n, 'b'))!];
}
