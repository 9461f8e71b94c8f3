import type { JsonObject } from '../checkpoints/folder.ts';
import type { Settings } from '../describe.ts';
import { allocationBuffers, tripletNames, tripletShapes } from './adaloraParts.ts';
import {
  MethodError,
  type ModelDescription,
  type PeftContent,
  type PeftForm,
  type Tensors,
} from './method.ts';

interface Factor {
  shape: readonly number[];
  data: Float32Array;
}

/**
 * PEFT's ADALORA: A [r, fan-in], E [r, 1] and B [out, r] cut to the triplets that are kept, which `rank_pattern` lists.
 * Its schedule is that of a run which is over.
 */
export const adaloraForm: PeftForm = {
  type: 'ADALORA',

  write(attachment, settings, tensors) {
    const found = new Map<string, Factor>();
    const pattern: JsonObject = {};
    for (const path of attachment.targets) {
      const names = tripletNames(path);
      const [a, e, b] = [names.a, names.e, names.b].map((name) => tensors.get(name)!);
      const kept = Array.from(tensors.get(names.kept)!.data, (x) => x !== 0);
      found
        .set(names.a, rows(a, kept, 1))
        .set(names.e, rows(e, kept, settings.scale as number))
        .set(names.b, columns(b, kept));
      pattern[names.e] = kept;
    }
    const config: JsonObject = {
      peft_type: 'ADALORA',
      init_r: settings.init_r as number,
      target_r: settings.target_r as number,
      lora_alpha: settings.lora_alpha as number,
      beta1: settings.beta1 as number,
      beta2: settings.beta2 as number,
      deltaT: settings.deltaT as number,
      orth_reg_weight: settings.orth_reg_weight as number,
      tinit: 0,
      tfinal: 0,
      total_step: 1,
      target_modules: [...attachment.targets].sort(),
      rank_pattern: pattern,
    };
    return { config, tensors: found };
  },

  read: (content, model) => ({ settings: settingsOf(content), tensors: tensorsOf(content, model) }),
};

function settingsOf({ config, tensors }: PeftContent): Settings {
  const given = (key: string, other: number) => (config[key] as number | undefined) ?? other;
  return {
    init_r: given('init_r', 12),
    target_r: Math.min(given('target_r', 8), given('init_r', 12)),
    lora_alpha: given('lora_alpha', 8),
    beta1: given('beta1', 0.85),
    beta2: given('beta2', 0.85),
    deltaT: given('deltaT', 1),
    orth_reg_weight: given('orth_reg_weight', 0.5),
    tinit: 0,
    tfinal: 0.3,
    scale: 1,
    lora_dropout: 0,
    target_modules: pathsOf(tensors),
  };
}

const pathsOf = (tensors: Tensors) =>
  [...tensors.keys()].flatMap((name) => /^(.*)\.lora_E$/.exec(name)?.[1] ?? []);

/** The tensors at their full rank, those that were cut being zero. */
function tensorsOf({ config, tensors }: PeftContent, model: ModelDescription): Tensors {
  const r = (config.init_r as number | undefined) ?? 12;
  const pattern = (config.rank_pattern ?? {}) as Record<string, boolean[]>;
  const found = new Map<string, Factor>();
  for (const path of pathsOf(tensors)) {
    const names = tripletNames(path);
    const module = model.modules.find((m) => m.path === path);
    if (!module) throw new MethodError(`This backbone has no module '${path}', which the adapter adapts.`);
    const shapes = tripletShapes(module, r);
    const count = tensors.get(names.e)!.shape[0];
    const kept = pattern[names.e] ?? Array.from({ length: r }, (_, k) => k < count);
    const at = kept.flatMap((keep, k) => (keep ? [k] : []));
    if (kept.length !== r || at.length !== count)
      throw new MethodError(
        `The adapter keeps ${at.length} of ${kept.length} ranks of '${path}' and holds ${count} of ${r}; its two files do not belong together.`,
      );
    const size = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);
    for (const f of ['a', 'e'] as const) {
      const width = size(shapes[f]) / r;
      const data = new Float32Array(size(shapes[f]));
      const from = tensors.get(names[f])!.data;
      at.forEach((k, i) => {
        data.set(from.subarray(i * width, (i + 1) * width), k * width);
      });
      found.set(names[f], { shape: shapes[f], data });
    }
    const b = new Float32Array(size(shapes.b));
    const from = tensors.get(names.b)!.data;
    for (let row = 0; row < module.shape[0]; row++)
      at.forEach((k, i) => {
        b[row * r + k] = from[row * count + i];
      });
    found.set(names.b, { shape: shapes.b, data: b });
    for (const { name, shape } of allocationBuffers(module, r))
      found.set(name, { shape, data: new Float32Array(size(shape)) });
    found.set(names.kept, { shape: shapes.kept, data: Float32Array.from(kept, Number) });
  }
  return found;
}

/** The rows that are kept, as a matrix. */
function rows({ shape, data }: Factor, kept: readonly boolean[], by: number): Factor {
  const width = data.length / shape[0];
  const found = kept.flatMap((keep, k) => (keep ? [...data.subarray(k * width, (k + 1) * width)] : []));
  return { shape: [found.length / width, width], data: Float32Array.from(found, (x) => x * by) };
}

function columns({ shape, data }: Factor, kept: readonly boolean[]): Factor {
  const r = kept.length;
  const found = data.filter((_, i) => kept[i % r]);
  return { shape: [shape[0], found.length / shape[0]], data: found };
}
