import { add, conv2d, linear, mul, reshape, slice, type Tensor } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import type { LayerCall } from '../scope.ts';
import { fanIn, loraSettings, matrixTargets } from './loraParts.ts';
import { addProduct } from './merge.ts';
import { type AddedBuffer, type Attachment, type Method, MethodError, type Tensors } from './method.ts';

/**
 * y = W x + λ_b ∘ (B (λ_d ∘ (A x))): one frozen pair of random projections for all layers, of which each takes the rows
 * and columns it needs, and two trained vectors a layer (Kopiczko et al., 2024, eq. 2). λ_b starts at zero. A and B are
 * drawn as PEFT draws them, uniform in ±√(6 / fan-in).
 */
export const vera: Method = {
  card: {
    id: 'vera',
    title: 'VeRA',
    about: 'All layers share two frozen random matrices; each trains only two vectors that scale them.',
    paper: {
      title: 'VeRA: Vector-based Random Matrix Adaptation',
      year: 2024,
      url: 'arxiv.org/abs/2310.11454',
    },
    formula: 'W + vera_lambda_b:b ⊙ vera_B:B · vera_lambda_d:d ⊙ vera_A:A',
    channels: [],
    settings: [
      {
        ...loraSettings.r,
        default: 256,
        max: 1024,
        help: 'Width of the shared projections: wider can express more and costs little, for only vectors are trained.',
      },
      {
        key: 'd_initial',
        label: 'Start of the inner scale',
        kind: 'number',
        default: 0.1,
        min: 1e-7,
        max: 10,
        step: 1e-7,
        scale: 'log',
        primary: false,
        live: false,
        help: 'Value that every inner scaling vector starts at; smaller begins more gently.',
      },
      {
        key: 'rate',
        label: 'Rate of the vectors',
        kind: 'number',
        default: 10,
        min: 0.1,
        max: 100,
        step: 0.1,
        scale: 'log',
        primary: false,
        live: false,
        help: 'Multiplies the learning rate for the vectors, which need about ten times that of the head.',
      },
      { ...loraSettings.scale, label: 'VeRA scale' },
      { ...loraSettings.dropout, key: 'vera_dropout' },
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = matrixTargets(model.modules, settings, 'VeRA');
    const modules = [...targets.values()];
    const r = settings.r as number;
    return {
      targets: [...targets.keys()],
      parameters: modules.flatMap((m) =>
        vectors(m, r, settings.d_initial as number, settings.rate as number),
      ),
      buffers: projections(modules, r),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          const m = targets.get(call.path);
          if (!m) return null;
          const a = slice(own.buffer(A), [0, 0], [r, fanIn(m)]);
          const b = slice(own.buffer(B), [0, 0], [m.shape[0], r]);
          const { inner, outer } = names(call.path);
          const hidden = mul(
            product(call, own.dropout(call.x, settings.vera_dropout as number), a),
            own.parameter(inner),
          );
          const scale = mul(own.parameter(outer), own.knob('scale'));
          return add(call.frozen(), mul(linear(hidden, b), scale));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    for (const path of attachment.targets) {
      const weight = await base.weight(`${path}.weight`);
      merged.set(`${path}.weight`, addProduct(weight, scaledFactors(path, settings, tensors, weight.length)));
    }
    return merged;
  },

  peft: {
    type: 'VERA',
    write(attachment, settings, tensors) {
      const scale = settings.scale as number;
      const found = new Map<string, { shape: readonly number[]; data: Float32Array }>();
      for (const path of attachment.targets) {
        const { inner, outer } = names(path);
        const o = tensors.get(outer)!;
        found.set(inner, tensors.get(inner)!).set(outer, { ...o, data: o.data.map((x) => x * scale) });
      }
      for (const name of [A, B]) found.set(`base_model.${name}`, tensors.get(name)!);
      const config = {
        peft_type: 'VERA',
        r: settings.r as number,
        d_initial: settings.d_initial as number,
        save_projection: true,
        target_modules: [...attachment.targets].sort(),
      };
      return { config, tensors: found };
    },
    read({ config, tensors }) {
      const shared = [A, B].map((name) => [name, tensors.get(`base_model.${name}`)] as const);
      if (shared.some(([, t]) => !t))
        throw new MethodError(
          'The adapter was saved without its projections, which only PEFT can draw again. Save it with save_projection.',
        );
      const own = [...tensors].filter(([name]) => !name.startsWith('base_model.'));
      const paths = own.flatMap(([name]) => /^(.*)\.vera_lambda_d$/.exec(name)?.[1] ?? []);
      return {
        settings: {
          r: config.r as number,
          d_initial: (config.d_initial as number) ?? 0.1,
          rate: 1,
          scale: 1,
          vera_dropout: 0,
          target_modules: paths,
        },
        tensors: new Map([...own, ...(shared as [string, NonNullable<(typeof shared)[0][1]>][])]) as Tensors,
      };
    },
  },
};

const A = 'vera_A';
const B = 'vera_B';
const names = (path: string) => ({ inner: `${path}.vera_lambda_d`, outer: `${path}.vera_lambda_b` });

function vectors(m: ModuleCard, r: number, start: number, rate: number) {
  const { inner, outer } = names(m.path);
  return [
    { name: inner, shape: [r], initial: () => new Float32Array(r).fill(start), rule: { rate } },
    {
      name: outer,
      shape: [m.shape[0]],
      initial: () => new Float32Array(m.shape[0]),
      rule: { rate },
    },
  ];
}

/** Wide enough for the largest target. */
function projections(modules: readonly ModuleCard[], r: number): AddedBuffer[] {
  const inputs = Math.max(...modules.map(fanIn));
  const out = Math.max(...modules.map((m) => m.shape[0]));
  const uniform = (count: number, fan: number) => (draw: () => number) =>
    Float32Array.from({ length: count }, () => (2 * draw() - 1) * Math.sqrt(6 / fan));
  return [
    { name: A, shape: [r, inputs], initial: uniform(r * inputs, inputs) },
    { name: B, shape: [out, r], initial: uniform(out * r, r) },
  ];
}

/** x times a matrix; a 1×1 convolution keeps its stride. */
function product(call: LayerCall, x: Tensor, a: Tensor): Tensor {
  return call.kind === 'linear' ? linear(x, a) : conv2d(x, reshape(a, [...a.shape, 1, 1]), call.options);
}

/** diag(λ_d) A and diag(λ_b) B, cut to the module whose weight has `size` numbers. */
function scaledFactors(path: string, settings: Settings, tensors: Tensors, size: number) {
  const { inner, outer } = names(path);
  const [d, o] = [tensors.get(inner)!.data, tensors.get(outer)!.data];
  const [a, b] = [tensors.get(A)!, tensors.get(B)!];
  const [r, out] = [d.length, o.length];
  const width = size / out;
  const thinA = Float32Array.from({ length: r * width }, (_, i) => {
    const row = Math.floor(i / width);
    return d[row] * a.data[row * a.shape[1] + (i % width)];
  });
  const thinB = b.data.subarray(0, out * r).map((x, i) => x * o[Math.floor(i / r)]);
  return {
    a: { shape: [r, width], data: thinA },
    b: { shape: [out, r], data: thinB },
    scale: settings.scale as number,
  };
}
