import type { JsonObject } from '../checkpoints/folder.ts';
import type { Setting, Settings } from '../describe.ts';
import { loraSettings } from './loraParts.ts';
import { MethodError, type PeftForm } from './method.ts';

/** Settings that LoHa and LoKr share; PEFT's names. */
export const lycorisSettings: Record<'r' | 'alpha' | 'scale' | 'dropout' | 'targets', Setting> = {
  r: loraSettings.r,
  alpha: {
    ...loraSettings.alpha,
    key: 'alpha',
    default: 8,
    help: 'The update is multiplied by alpha divided by rank.',
  },
  scale: { ...loraSettings.scale, label: 'Update scale' },
  dropout: {
    ...loraSettings.dropout,
    key: 'rank_dropout',
    help: 'Share of the outputs whose update a training step leaves out.',
  },
  targets: loraSettings.targets,
};

export function lycorisScale(settings: Settings): number {
  return (settings.alpha as number) / (settings.r as number);
}

interface LycorisForm {
  /** What the configuration says beside rank, alpha and targets. */
  config(settings: Settings): JsonObject;
  /** The ends of names of tensors that the update is linear in: one of each module takes the scale. */
  scaled: string | readonly string[];
  /** The module whose first tensor this is. */
  pathOf(name: string): string | undefined;
  settings(config: JsonObject): Settings;
}

/** PEFT's LOHA or LOKR: the strength is folded into one factor, and alpha = r. */
export function lycorisForm(type: 'LOHA' | 'LOKR', form: LycorisForm): PeftForm {
  const ends = typeof form.scaled === 'string' ? [form.scaled] : form.scaled;
  return {
    type,
    write(attachment, settings, tensors) {
      const scale = lycorisScale(settings) * (settings.scale as number);
      const own = attachment.parameters.map(({ name }) => {
        const { shape, data } = tensors.get(name)!;
        const takes = ends.some((end) => name.endsWith(`.${end}`));
        return [name, { shape, data: takes ? data.map((x) => x * scale) : data }] as const;
      });
      const r = settings.r as number;
      return {
        config: {
          peft_type: type,
          r,
          alpha: r,
          ...form.config(settings),
          target_modules: [...attachment.targets].sort(),
        },
        tensors: new Map(own),
      };
    },
    read({ config, tensors }) {
      for (const key of ['rank_pattern', 'alpha_pattern'])
        if (Object.keys((config[key] as JsonObject | undefined) ?? {}).length)
          throw new MethodError(
            `adapter_config.json gives modules their own values by ${key}, which is not read for ${type}; merge the adapter into its base with PEFT instead.`,
          );
      if (config.use_effective_conv2d && [...tensors.keys()].some((name) => /_t[12]?$/.test(name)))
        throw new MethodError(
          'The adapter keeps kernels apart (use_effective_conv2d), which is not read here; merge it into its base with PEFT instead.',
        );
      const paths = [...tensors.keys()].flatMap((name) => form.pathOf(name) ?? []);
      const r = (config.r as number | undefined) ?? 8;
      return {
        settings: {
          r,
          alpha: (config.alpha as number | undefined) ?? 8,
          scale: 1,
          rank_dropout: 0,
          ...form.settings(config),
          target_modules: [...new Set(paths)],
        },
        tensors,
      };
    },
  };
}
