import { loraScale, loraSettings, loraTargets } from './loraParts.ts';
import { matrixOf } from './math/matrix.ts';
import { svd } from './math/svd.ts';
import type { Method } from './method.ts';
import { componentFactors, startedAttachment, startedUpdates } from './startedFactors.ts';

/**
 * LoRA that starts as the r strongest singular directions of the weight, W = U S Vᵀ: A = √S_r V_rᵀ, B = U_r √S_r, the
 * rest frozen (Meng et al., 2024, eq. 2 to 4). Singular values are divided by the scale, so that s B A is the part.
 */
export const pissa: Method = {
  card: {
    id: 'pissa',
    title: 'PiSSA',
    about: 'LoRA that starts from the strongest directions of each weight instead of from nothing.',
    paper: {
      title: 'PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large Language Models',
      year: 2024,
      url: 'arxiv.org/abs/2404.02948',
    },
    formula: 'W + lora_B.weight:B · lora_A.weight:A − lora_B.start:B₀ · lora_A.start:A₀',
    channels: ['spectrum'],
    settings: [
      loraSettings.r,
      // The paper's: the scale is 1 whatever the rank.
      { ...loraSettings.alpha, default: 8 },
      loraSettings.rslora,
      { ...loraSettings.scale, label: 'PiSSA scale' },
      loraSettings.dropout,
      loraSettings.targets,
    ],
  },

  attach(model, settings) {
    const targets = loraTargets(model.modules, settings, 'PiSSA');
    return startedAttachment(targets, settings, async (m, base) => {
      const w = matrixOf({ shape: m.shape, data: await base.weight(`${m.path}.weight`) });
      const { values, left, right } = svd(w, settings.r as number);
      return componentFactors(values, left, right, loraScale(settings));
    });
  },

  toLowRank: startedUpdates,
};
