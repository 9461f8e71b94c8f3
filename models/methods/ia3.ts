import { add, mul, reshape, sub } from '../../gpu-shaders/index.ts';
import type { ModuleCard, Settings } from '../describe.ts';
import { loraSettings } from './loraParts.ts';
import { type AddedParameter, type Attachment, type Method, MethodError, type Tensors } from './method.ts';
import { resolveTargets } from './targets.ts';

/** What folding needs of the model beside the vectors. */
interface Ia3Attachment extends Attachment {
  modules: ReadonlyMap<string, ModuleCard>;
  /** Targets whose inputs are scaled. */
  feedforward: ReadonlySet<string>;
  /** Targets whose layer adds a bias, which is scaled with the output. */
  biased: ReadonlySet<string>;
}

/**
 * y = l ∘ (W x + b), or y = W (l ∘ x) + b for the layer behind a perceptron's activation, with one trained vector l a
 * layer that starts at one (Liu et al., 2022, section 3.3). Computed as the frozen layer plus (l - 1) times what it
 * multiplies.
 */
export const ia3: Method = {
  card: {
    id: 'ia3',
    title: '(IA)³',
    about: 'Turns single features up or down: one trained factor for each output of a layer.',
    paper: {
      title: 'Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning',
      year: 2022,
      url: 'arxiv.org/abs/2205.05638',
    },
    formula: 'ia3_l:l ⊙ W',
    channels: [],
    settings: [
      {
        ...loraSettings.targets,
        help: 'The layers whose outputs are scaled; in the paper keys, values and the last layer of each perceptron.',
      },
      {
        key: 'feedforward_modules',
        label: 'Scaled at the input',
        kind: 'modules',
        default: [],
        primary: true,
        live: false,
        help: 'Those of the target modules whose inputs are scaled instead, such as fc2 of a perceptron.',
      },
      { ...loraSettings.scale, label: '(IA)³ scale' },
    ],
  },

  attach(model, settings): Ia3Attachment {
    const found = resolveTargets(model.modules, settings.target_modules as string[]);
    const modules = new Map(found.map((m) => [m.path, m]));
    const atInput = settings.feedforward_modules as string[];
    const named = atInput.length ? resolveTargets(model.modules, atInput) : [];
    const feedforward = new Set(named.flatMap(({ path }) => (modules.has(path) ? [path] : [])));
    const grouped = found.find((m) => m.grouped && feedforward.has(m.path));
    if (grouped)
      throw new MethodError(
        `'${grouped.path}' is a grouped convolution, whose inputs (IA)³ does not scale. Leave it out of the modules scaled at the input.`,
      );
    const parameters = new Set(model.parameters.map((p) => p.path));
    return {
      modules,
      feedforward,
      biased: new Set(found.flatMap(({ path }) => (parameters.has(`${path}.bias`) ? [path] : []))),
      targets: [...modules.keys()],
      parameters: found.map((m) => vectorOf(m, feedforward.has(m.path))),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          if (!modules.has(call.path)) return null;
          const l = own.parameter(nameOf(call.path));
          const change = mul(reshape(sub(l, 1), [-1]), own.knob('scale'));
          const y = call.frozen();
          return feedforward.has(call.path)
            ? add(y, call.apply(call.weight, mul(call.x, change)))
            : add(y, mul(y, change));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const { modules, feedforward, biased } = attachment as Ia3Attachment;
    const merged = new Map<string, Float32Array>();
    for (const [path, { shape }] of modules) {
      const factors = factorsOf(path, settings, tensors);
      const weight = await base.weight(`${path}.weight`);
      const perRow = weight.length / shape[0];
      const taps = perRow / shape[1];
      const atInput = feedforward.has(path);
      merged.set(
        `${path}.weight`,
        weight.map((w, i) => w * factors[Math.floor(atInput ? (i % perRow) / taps : i / perRow)]),
      );
      if (!atInput && biased.has(path)) {
        const bias = await base.weight(`${path}.bias`);
        merged.set(
          `${path}.bias`,
          bias.map((b, i) => b * factors[i]),
        );
      }
    }
    return merged;
  },

  peft: {
    type: 'IA3',
    write(attachment, settings, tensors) {
      const { feedforward } = attachment as Ia3Attachment;
      return {
        config: {
          peft_type: 'IA3',
          target_modules: [...attachment.targets].sort(),
          feedforward_modules: [...feedforward].sort(),
        },
        tensors: new Map(
          attachment.targets.map((path) => {
            const { shape } = tensors.get(nameOf(path))!;
            return [nameOf(path), { shape, data: factorsOf(path, settings, tensors) }];
          }),
        ),
      };
    },
    read({ config, tensors }, model) {
      const paths = [...tensors.keys()].flatMap((name) => /^(.*)\.ia3_l$/.exec(name)?.[1] ?? []);
      const modules = new Map(model.modules.map((m) => [m.path, m]));
      const feedforward = paths.filter((path) => {
        const { shape } = tensors.get(nameOf(path))!;
        // The shape tells of a linear layer, a convolution's is the same on both sides.
        if (modules.get(path)?.kind === 'linear') return shape[0] === 1 && modules.get(path)!.shape[0] !== 1;
        const listed = config.feedforward_modules;
        return Array.isArray(listed) && listed.some((end) => typeof end === 'string' && path.endsWith(end));
      });
      return {
        settings: { target_modules: paths, feedforward_modules: feedforward, scale: 1 },
        tensors,
      };
    },
  },
};

/** PEFT's name. */
const nameOf = (path: string) => `${path}.ia3_l`;

/** In PEFT's shapes: a column for outputs, a row for inputs, on the channels of a convolution. */
function vectorOf(
  { path, kind, shape: [out, inputs, ...kernel] }: ModuleCard,
  atInput: boolean,
): AddedParameter {
  const count = atInput ? inputs : out;
  const shape = kind === 'conv2d' ? [1, count, ...kernel.map(() => 1)] : atInput ? [1, count] : [count, 1];
  return { name: nameOf(path), shape, initial: () => new Float32Array(count).fill(1) };
}

/** 1 + s (l - 1): what each feature is multiplied by at the scale that is set. */
function factorsOf(path: string, settings: Settings, tensors: Tensors): Float32Array {
  const scale = settings.scale as number;
  return tensors.get(nameOf(path))!.data.map((l) => 1 + scale * (l - 1));
}
