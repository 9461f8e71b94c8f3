import { add, mul, sub } from '../../gpu-shaders/index.ts';
import type { ModuleCard } from '../describe.ts';
import { bottleneckSettings, inLastBlocks } from './bottleneck.ts';
import { factorShapes, loraSettings } from './loraParts.ts';
import { type Attachment, type Base, type Method, MethodError } from './method.ts';
import { resting } from './resting.ts';

interface BitFitAttachment extends Attachment {
  /** Every bias of the model, trained or not: PEFT's file holds them all. */
  biases: readonly string[];
  /** The layer that PEFT puts a LoRA of nothing on, without which it takes no biases. */
  carrier: ModuleCard | undefined;
}

/**
 * Trains biases and nothing else (Ben Zaken et al., 2022). They are held whole, as PEFT's files hold them, and decay
 * not at all. PEFT has no type of its own for it: what it reads is a LoRA with `bias: "all"`, whose factors are zero.
 */
export const bitfit: Method = {
  card: {
    id: 'bitfit',
    title: 'BitFit',
    about: 'Trains the biases of the backbone and leaves every weight as it is.',
    paper: {
      title: 'BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models',
      year: 2022,
      url: 'arxiv.org/abs/2106.10199',
    },
    formula: 'W + bitfit_bias:b',
    channels: [],
    settings: [
      {
        key: 'which',
        label: 'Biases',
        kind: 'choice',
        default: 'all',
        options: [
          { value: 'all', label: 'All' },
          { value: 'layers', label: 'Of layers' },
          { value: 'norms', label: 'Of norms' },
        ],
        primary: true,
        live: false,
        help: 'Whether the biases of linear and convolutional layers, of norms, or both are trained.',
      },
      {
        ...bottleneckSettings.lastBlocks,
        help: 'Only the biases of so many of the last blocks are trained; 0 is all.',
      },
      { ...loraSettings.scale, label: 'BitFit scale' },
    ],
  },

  attach(model, settings): BitFitAttachment {
    const all = model.parameters.filter(({ path }) => path.endsWith('.bias'));
    const layers = new Set(model.modules.map((m) => `${m.path}.bias`));
    const found = all.filter(
      ({ path }) => settings.which === 'all' || layers.has(path) === (settings.which === 'layers'),
    );
    if (!found.length)
      throw new MethodError(
        `This backbone has no biases of the kind '${settings.which}'. Choose 'all', or a method that goes beside layers.`,
      );
    const chosen = inLastBlocks(found, model.blocks, settings);
    const paths = new Set(chosen.map((p) => p.path));
    return {
      biases: all.map((p) => p.path),
      carrier: model.modules.find((m) => !m.grouped),
      targets: [...paths],
      parameters: chosen.map(({ path, shape }) => ({
        name: nameOf(path),
        shape,
        initial: (_, base: Base) => base.weight(path),
        rule: { decay: false },
      })),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        parameter: (path, frozen) =>
          paths.has(path)
            ? add(frozen, mul(sub(own.parameter(nameOf(path)), frozen), own.knob('scale')))
            : null,
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    for (const path of attachment.targets)
      merged.set(
        path,
        resting(await base.weight(path), tensors.get(nameOf(path))!.data, settings.scale as number),
      );
    return merged;
  },

  peft: {
    type: 'LORA',
    accepts: (config) => config.bias === 'all',
    async write(attachment, settings, tensors, base) {
      const { biases, carrier } = attachment as BitFitAttachment;
      if (!carrier)
        throw new MethodError(
          'PEFT takes biases only beside a layer that a LoRA fits, and this backbone has none.',
        );
      const shapes = factorShapes(carrier, 1);
      const found = new Map<string, { shape: readonly number[]; data: Float32Array }>();
      const zero = (shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((n, d) => n * d, 1)) });
      found.set(`${carrier.path}.lora_A.weight`, zero(shapes.a));
      found.set(`${carrier.path}.lora_B.weight`, zero(shapes.b));
      for (const path of biases) {
        const own = tensors.get(nameOf(path))?.data;
        const frozen = await base.weight(path);
        const data = own ? resting(frozen, own, settings.scale as number) : frozen;
        const key = path === `${carrier.path}.bias` ? `${carrier.path}.base_layer.bias` : path;
        found.set(key, { shape: [data.length], data });
      }
      return {
        config: { peft_type: 'LORA', r: 1, lora_alpha: 1, bias: 'all', target_modules: [carrier.path] },
        tensors: found,
      };
    },
    read({ tensors }) {
      const found = new Map<string, { shape: readonly number[]; data: Float32Array }>();
      for (const [name, tensor] of tensors) {
        if (name.includes('.lora_')) {
          if (name.includes('.lora_B') && tensor.data.some((x) => x !== 0))
            throw new MethodError(
              'The adapter trains biases beside a LoRA, which is not read together; merge it into its base with PEFT instead.',
            );
        } else found.set(nameOf(name.replace('.base_layer.', '.')), tensor);
      }
      return { settings: { which: 'all', last_blocks: 0, scale: 1 }, tensors: found };
    },
  },
};

/** The model's own name belongs to the frozen value. */
const nameOf = (path: string) => path.replace(/\bbias$/, 'bitfit_bias');
