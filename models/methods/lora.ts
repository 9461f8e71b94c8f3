import { add, mul } from '../../gpu-shaders/index.ts';
import type { Settings } from '../describe.ts';
import {
  applyFactors,
  factorNames,
  factors,
  loraScale,
  loraSettings,
  loraTargets,
  padColumns,
  padRows,
  scaled,
} from './loraParts.ts';
import type { Attachment, Method } from './method.ts';

/**
 * y = W x + s B A dropout(x), with A drawn at random and B zero (Hu et al., 2022, eq. 3). s is alpha / r, or
 * alpha / √r where the scale is rank-stabilised (rsLoRA: Kalajdzievski, 2023, arxiv.org/abs/2312.03732).
 */
export const lora: Method = {
  card: {
    id: 'lora',
    title: 'LoRA',
    about: 'Adds a low-rank update beside chosen layers; only its two thin factors and the head are trained.',
    paper: {
      title: 'LoRA: Low-Rank Adaptation of Large Language Models',
      year: 2022,
      url: 'arxiv.org/abs/2106.09685',
    },
    formula: 'W + lora_B.weight:B · lora_A.weight:A',
    channels: ['spectrum'],
    settings: [
      loraSettings.r,
      loraSettings.alpha,
      loraSettings.rslora,
      loraSettings.scale,
      loraSettings.dropout,
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = loraTargets(model.modules, settings, 'LoRA');
    const scale = loraScale(settings);
    return {
      targets: [...targets.keys()],
      parameters: [...targets.values()].flatMap((m) => factors(m, settings.r as number)),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          if (!targets.has(call.path)) return null;
          const names = factorNames(call.path);
          const x = own.dropout(call.x, settings.lora_dropout as number);
          const update = applyFactors(call, x, own.parameter(names.a), own.parameter(names.b));
          return add(call.frozen(), mul(update, mul(own.knob('scale'), scale)));
        },
      }),
    };
  },

  toLowRank: (attachment, settings, tensors) =>
    attachment.targets.map((path) => ({
      path,
      a: tensors.get(factorNames(path).a)!,
      b: tensors.get(factorNames(path).b)!,
      scale: loraScale(settings) * (settings.scale as number),
    })),

  fromLowRank(updates) {
    const ranks = new Set(updates.map((u) => u.a.shape[0]));
    const scales = new Set(updates.map((u) => u.scale));
    const r = Math.max(...ranks);
    const tensors = new Map(
      updates.flatMap((u) => [
        [`${u.path}.lora_A.weight`, padRows(u.a, r)] as const,
        [`${u.path}.lora_B.weight`, padColumns(scaled(u.b, scales.size > 1 ? u.scale : 1), r)] as const,
      ]),
    );
    const settings: Settings = {
      r,
      use_rslora: false,
      lora_alpha: r * (scales.size > 1 ? 1 : updates[0].scale),
      scale: 1,
      lora_dropout: 0,
      target_modules: updates.map((u) => u.path),
    };
    return { settings, tensors };
  },
};
