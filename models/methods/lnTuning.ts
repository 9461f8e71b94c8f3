import { add, mul, sub } from '../../gpu-shaders/index.ts';
import { bottleneckSettings, inLastBlocks } from './bottleneck.ts';
import { loraSettings } from './loraParts.ts';
import { type Attachment, type Base, type Method, MethodError } from './method.ts';
import { resting } from './resting.ts';

interface NormAttachment extends Attachment {
  /** Paths of the norms themselves. */
  norms: readonly string[];
}

/**
 * Trains the weights and biases of layer norms (Zhao et al., 2024, section 3). They are held whole, as PEFT holds them,
 * and decay not at all.
 */
export const lnTuning: Method = {
  card: {
    id: 'ln-tuning',
    title: 'Layer-norm tuning',
    about: 'Trains the scales and shifts of the layer norms and leaves everything between them as it is.',
    paper: {
      title: 'Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM Finetuning',
      year: 2024,
      url: 'arxiv.org/abs/2312.11420',
    },
    formula: 'norm ⊙ ln_tuning_layers.weight:γ + ln_tuning_layers.bias:β',
    channels: [],
    settings: [
      {
        ...bottleneckSettings.lastBlocks,
        help: 'Only the norms of so many of the last blocks are trained; 0 is all.',
      },
      { ...loraSettings.scale, label: 'Tuning scale' },
    ],
  },

  attach(model, settings): NormAttachment {
    if (!model.norms.length)
      throw new MethodError(
        'This backbone has no layer norms. Choose BitFit, which trains the shifts of its batch norms, or a method that goes beside layers.',
      );
    const norms = new Set(inLastBlocks(model.norms, model.blocks, settings).map((n) => n.path));
    const found = model.parameters.filter(({ path }) => norms.has(ownerOf(path)));
    const paths = new Set(found.map((p) => p.path));
    return {
      norms: [...norms],
      targets: [...paths],
      parameters: found.map(({ path, shape }) => ({
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
    type: 'LN_TUNING',
    async write(attachment, settings, tensors, base) {
      const found = new Map<string, { shape: readonly number[]; data: Float32Array }>();
      for (const path of attachment.targets) {
        const { shape, data } = tensors.get(nameOf(path))!;
        found.set(nameOf(path), {
          shape,
          data: resting(await base.weight(path), data, settings.scale as number),
        });
      }
      const { norms } = attachment as NormAttachment;
      return { config: { peft_type: 'LN_TUNING', target_modules: [...norms].sort() }, tensors: found };
    },
    read({ tensors }, model) {
      const paths = new Set(
        [...tensors.keys()].map((name) => ownerOf(name).replace(/\.ln_tuning_layers$/, '')),
      );
      const blocks = model.norms.flatMap((n) => (paths.has(n.path) ? [n.block] : []));
      const last = model.blocks - Math.min(...blocks);
      const expected = model.norms.filter((n) => n.block >= model.blocks - last);
      if (expected.length !== paths.size || expected.some((n) => !paths.has(n.path)))
        throw new MethodError(
          'The adapter tunes layers that are no layer norms, or only some of the norms of a block, which is not read here; merge it into its base with PEFT instead.',
        );
      return {
        settings: { last_blocks: expected.length === model.norms.length ? 0 : last, scale: 1 },
        tensors,
      };
    },
  },
};

const ownerOf = (path: string) => path.slice(0, path.lastIndexOf('.'));

/** PEFT's name. */
const nameOf = (path: string) => path.replace(/\.(weight|bias)$/, '.ln_tuning_layers.$1');
