import { add, columnChoice, conv2d, linear, mul, type Tensor, takeColumns } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import type { LayerCall } from '../scope.ts';
import { loraSettings, loraTargets } from './loraParts.ts';
import { drawn, strongest } from './math/sparse.ts';
import { type Attachment, type Base, type Method, MethodError, type Tensors } from './method.ts';
import { weightGradients } from './weightGradients.ts';

/**
 * y = W x + s P x[idx]: r columns of each weight train, chosen once; s = alpha / r (Woo et al., 2025, eq. 5 and 6). Only
 * the chosen inputs are kept for the backward pass. P starts at zero, so it is what the columns move by. On a k×k
 * convolution a column is an input channel with its taps.
 */
export const paca: Method = {
  card: {
    id: 'paca',
    title: 'PaCA',
    about: 'Trains a few columns of each weight, so that only the inputs of those have to be kept.',
    paper: {
      title: 'PaCA: Partial Connection Adaptation for Efficient Fine-Tuning',
      year: 2025,
      url: 'arxiv.org/abs/2503.01905',
    },
    formula: 'W + paca_delta:Δ@columns',
    channels: ['spectrum', 'mask'],
    settings: [
      {
        ...loraSettings.r,
        label: 'Columns',
        help: 'Inputs of each layer whose weights train: more can change more and keep more in memory.',
      },
      {
        ...loraSettings.alpha,
        default: 8,
        help: 'Steps of the columns are multiplied by alpha divided by their number.',
      },
      {
        key: 'selection',
        label: 'Which columns',
        kind: 'choice',
        default: 'random',
        options: [
          { value: 'random', label: 'Random' },
          { value: 'largest', label: 'Largest norm' },
          { value: 'smallest', label: 'Smallest norm' },
          { value: 'gradient', label: 'Largest gradient' },
        ],
        primary: true,
        live: false,
        help: 'How the columns that train are chosen; gradients are those of the first training pictures.',
      },
      { ...loraSettings.scale, label: 'PaCA scale' },
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = loraTargets(model.modules, settings, 'PaCA');
    const modules = [...targets.values()];
    const r = settings.r as number;
    for (const m of modules)
      if (r > m.shape[1])
        throw new MethodError(
          `'${m.path}' has ${m.shape[1]} inputs, and ${r} columns are to train. Choose at most ${m.shape[1]}, or leave it out of the target modules.`,
        );
    return {
      targets: [...targets.keys()],
      parameters: modules.map((m) => {
        const shape = [m.shape[0], r, ...m.shape.slice(2)];
        const count = shape.reduce((n, d) => n * d, 1);
        return { name: names(m.path).delta, shape, initial: () => new Float32Array(count) };
      }),
      buffers: modules.map((m) => ({
        name: names(m.path).columns,
        shape: [r + m.shape[1]],
        dtype: 'u32',
        initial: async (draw, base) =>
          Float32Array.from(
            columnChoice(await columnsOf(m, settings, [...targets.keys()], draw, base), m.shape[1]),
          ),
      })),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          if (!targets.has(call.path)) return null;
          const { delta, columns } = names(call.path);
          const taken = takeColumns(call.x, own.buffer(columns), r);
          const update = product(call, taken, own.parameter(delta));
          return add(call.frozen(), mul(update, mul(own.knob('scale'), pacaScale(settings))));
        },
      }),
    };
  },

  // A one-hot row of A picks an input (and a tap); B is what its weights move by.
  toLowRank: (attachment, settings, tensors) =>
    attachment.targets.map((path) => {
      const { delta, columns, inputs, out, r, kernel, taps } = partsOf(path, tensors);
      const a = new Float32Array(r * taps * inputs * taps);
      for (let row = 0; row < r * taps; row++)
        a[row * inputs * taps + columns[Math.floor(row / taps)] * taps + (row % taps)] = 1;
      return {
        path,
        a: { shape: [r * taps, inputs, ...kernel], data: a },
        b: { shape: [out, r * taps, ...kernel.map(() => 1)], data: delta.data },
        scale: pacaScale(settings) * (settings.scale as number),
      };
    }),

  masks: (attachment, tensors) =>
    attachment.targets.map((path) => {
      const { columns, inputs, out, r, taps } = partsOf(path, tensors);
      const width = inputs * taps;
      const indices = Uint32Array.from({ length: out * r * taps }, (_, i) => {
        const [row, at] = [Math.floor(i / (r * taps)), i % (r * taps)];
        return row * width + columns[Math.floor(at / taps)] * taps + (at % taps);
      });
      return { path, shape: [out, width] as const, indices };
    }),
};

const names = (path: string) => ({
  delta: `${path}.paca_delta`,
  columns: `${path}.paca_columns`,
});

const pacaScale = (settings: Settings) => (settings.lora_alpha as number) / (settings.r as number);

const product = (call: LayerCall, x: Tensor, w: Tensor): Tensor =>
  call.kind === 'linear' ? linear(x, w) : conv2d(x, w, call.options);

/** A module's moved columns, their numbers, and its sizes. */
function partsOf(path: string, tensors: Tensors) {
  const delta = tensors.get(names(path).delta)!;
  const choice = tensors.get(names(path).columns)!.data;
  const [out, r, ...kernel] = delta.shape;
  const taps = kernel.reduce((n, d) => n * d, 1);
  return { delta, columns: choice.subarray(0, r), inputs: choice.length - r, out, r, kernel, taps };
}

async function columnsOf(
  m: ModuleCard,
  settings: Settings,
  paths: readonly string[],
  draw: () => number,
  base: Base,
): Promise<Uint32Array> {
  const r = settings.r as number;
  const inputs = m.shape[1];
  const taps = m.shape.slice(2).reduce((n, d) => n * d, 1);
  const norms = (matrix: Float32Array, sign: number) => {
    const found = new Float32Array(inputs);
    for (let i = 0; i < matrix.length; i++) found[Math.floor(i / taps) % inputs] += sign * matrix[i] ** 2;
    return found;
  };
  switch (settings.selection) {
    case 'largest':
    case 'smallest': {
      const sign = settings.selection === 'largest' ? 1 : -1;
      return strongest(norms(await base.weight(`${m.path}.weight`), sign), r);
    }
    case 'gradient':
      return strongest(norms((await weightGradients(paths, base)).get(m.path)!, 1), r);
    default:
      return drawn(r, inputs, draw);
  }
}
