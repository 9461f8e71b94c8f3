import {
  add,
  cast,
  div,
  linear,
  matmul,
  maximum,
  mul,
  reduceSum,
  reshape,
  sqrt,
  stopGradient,
  sub,
  type Tensor,
  transpose,
} from '../../gpu-shaders/index.ts';
import type { Settings } from '../describe.ts';
import { refuseUnreadable, scaleOf } from '../exports/peftImport.ts';
import type { LayerCall } from '../scope.ts';
import { lora } from './lora.ts';
import {
  applyFactors,
  factorNames,
  factors,
  fanIn,
  loraScale,
  loraSettings,
  loraTargets,
} from './loraParts.ts';
import { addProduct } from './merge.ts';
import type { Attachment, Base, LowRankUpdate, Method, Tensors } from './method.ts';

/**
 * W' = m (W + s B A) / ‖W + s B A‖, norms and magnitudes m row by row, m starting at ‖W‖ (Liu et al., 2024, eq. 5).
 * The norm is a constant to the gradient (section 4.3). It comes of the factors, so the full update is never formed:
 * ‖w + s b A‖² = ‖w‖² + 2 s b · (A w) + s² b (A Aᵀ) bᵀ for each row w of W and b of B.
 */
export const dora: Method = {
  card: {
    id: 'dora',
    title: 'DoRA',
    about: 'LoRA that learns how strong each output is apart from what it looks at.',
    paper: {
      title: 'DoRA: Weight-Decomposed Low-Rank Adaptation',
      year: 2024,
      url: 'arxiv.org/abs/2402.09353',
    },
    formula: 'lora_magnitude_vector:m ⊙ ( W + lora_B.weight:B · lora_A.weight:A ) / ‖ ‖',
    channels: [],
    settings: [
      loraSettings.r,
      loraSettings.alpha,
      loraSettings.rslora,
      { ...loraSettings.scale, max: 1, label: 'DoRA scale' },
      loraSettings.dropout,
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = loraTargets(model.modules, settings, 'DoRA');
    const scale = loraScale(settings);
    return {
      targets: [...targets.keys()],
      parameters: [...targets.values()].flatMap((m) => [
        ...factors(m, settings.r as number),
        {
          name: magnitudeName(m.path),
          // PEFT's own shape, whose broadcast is that of a convolution's output, channels first.
          shape: m.kind === 'linear' ? [m.shape[0]] : [1, m.shape[0], 1, 1],
          initial: async (_, base: Base) => norms(await base.weight(`${m.path}.weight`), m.shape[0]),
        },
      ]),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          const module = targets.get(call.path);
          if (!module) return null;
          const names = factorNames(call.path);
          const [a, b] = [own.parameter(names.a), own.parameter(names.b)];
          const magnitude = reshape(own.parameter(magnitudeName(call.path)), [module.shape[0]]);
          const norm = stopGradient(normOf(call, fanIn(module), a, b, scale));
          // Exactly zero where nothing has been learnt about this output, unlike m / ‖·‖ - 1.
          const stretch = div(sub(magnitude, norm), norm);
          const rate = settings.lora_dropout as number;
          const x = own.dropout(call.x, rate);
          const frozen = call.frozen();
          const straight = call.bias ? sub(frozen, call.bias) : frozen;
          const base = x === call.x ? straight : call.apply(call.weight, x);
          const turned = mul(applyFactors(call, x, a, b), scale);
          const change = add(mul(base, stretch), mul(turned, add(stretch, 1)));
          return add(frozen, mul(change, own.knob('scale')));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    for (const path of attachment.targets) {
      const { weight, turned, stretch } = await decomposed(path, settings, tensors, base);
      const t = settings.scale as number;
      const width = weight.length / stretch.length;
      merged.set(
        `${path}.weight`,
        weight.map((w, i) => {
          const d = stretch[Math.floor(i / width)];
          return w + t * (d * w + (1 + d) * (turned[i] - w));
        }),
      );
    }
    return merged;
  },

  peft: {
    type: 'LORA',
    accepts: (config) => config.use_dora === true,
    async write(attachment, settings, tensors, base) {
      const found = new Map<string, { shape: readonly number[]; data: Float32Array }>();
      for (const path of attachment.targets) {
        const { a, b, magnitude } = await folded(path, settings, tensors, base);
        const names = factorNames(path);
        found.set(names.a, a).set(names.b, b).set(magnitudeName(path), magnitude);
      }
      const r = settings.r as number;
      return {
        config: {
          peft_type: 'LORA',
          use_dora: true,
          r,
          lora_alpha: r,
          target_modules: [...attachment.targets].sort(),
        },
        tensors: found,
      };
    },
    read({ config, tensors }) {
      refuseUnreadable(config, ['use_dora']);
      const paths = [...tensors.keys()].flatMap((name) => /^(.*)\.lora_A\.weight$/.exec(name)?.[1] ?? []);
      const updates: LowRankUpdate[] = paths.map((path) => {
        const [a, b] = [tensors.get(factorNames(path).a)!, tensors.get(factorNames(path).b)!];
        return { path, a, b, scale: scaleOf(config, path, a.shape[0]) };
      });
      const found = lora.fromLowRank!(updates);
      const magnitudes = paths.map(
        (path) => [magnitudeName(path), tensors.get(magnitudeName(path))!] as const,
      );
      return { settings: found.settings, tensors: new Map([...found.tensors, ...magnitudes]) };
    },
  },
};

/** PEFT's name, which has no `.weight` behind it. */
const magnitudeName = (path: string) => `${path}.lora_magnitude_vector`;

/** ‖W + s B A‖ of each row, [out]. */
function normOf(call: LayerCall, width: number, a: Tensor, b: Tensor, scale: number): Tensor {
  const [r, out] = [a.shape[0], b.shape[0]];
  const w = reshape(call.weight, [out, width]);
  const [thinA, thinB] = [reshape(a, [r, width]), reshape(b, [out, r])];
  const plain = cast(w, 'f32');
  const across = reduceSum(mul(linear(thinA, w), transpose(thinB, [1, 0])), [0]);
  const added = reduceSum(mul(matmul(thinB, matmul(thinA, thinA, { tb: true })), thinB), [1]);
  const squares = add(reduceSum(mul(plain, plain), [1]), add(mul(across, 2 * scale), mul(added, scale ** 2)));
  // A row of nothing has no direction; a norm of zero would make it one of NaN.
  return sqrt(maximum(squares, 1e-20));
}

/** Lengths of the rows of a matrix of `rows` rows. */
function norms(matrix: Float32Array, rows: number): Float32Array {
  const width = matrix.length / rows;
  return Float32Array.from({ length: rows }, (_, i) =>
    Math.sqrt(matrix.subarray(i * width, (i + 1) * width).reduce((sum, x) => sum + x * x, 0)),
  );
}

/** W, W + s B A, and m / ‖W + s B A‖ - 1 of each row. */
async function decomposed(path: string, settings: Settings, tensors: Tensors, base: Base) {
  const [a, b] = [tensors.get(factorNames(path).a)!, tensors.get(factorNames(path).b)!];
  const weight = await base.weight(`${path}.weight`);
  const turned = addProduct(weight, { a, b, scale: loraScale(settings) });
  const norm = norms(turned, b.shape[0]);
  const stretch = tensors.get(magnitudeName(path))!.data.map((m, i) => m / norm[i] - 1);
  return { a, b, weight, turned, stretch };
}

/** Factors of scale 1 and magnitudes that do at full strength what the live ones do at the strength they have. */
async function folded(path: string, settings: Settings, tensors: Tensors, base: Base) {
  const magnitude = tensors.get(magnitudeName(path))!;
  const { a, b, weight, stretch } = await decomposed(path, settings, tensors, base);
  const t = settings.scale as number;
  const r = b.shape[1];
  const rows = stretch.map((d) => (loraScale(settings) * t * (1 + d)) / (1 + t * d));
  const data = b.data.map((x, i) => x * rows[Math.floor(i / r)]);
  const norm = norms(addProduct(weight, { a, b: { ...b, data }, scale: 1 }), b.shape[0]);
  return {
    a,
    b: { shape: b.shape, data },
    magnitude: { shape: magnitude.shape, data: norm.map((n, i) => n * (1 + t * stretch[i])) },
  };
}
