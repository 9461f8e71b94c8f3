import { add, mul, sparseLayout, sparseLayoutSize, sparseLinear } from '../../gpu-shaders/index.ts';
import { isStrided } from '../scope.ts';
import { fanIn, loraSettings, matrixTargets } from './loraParts.ts';
import { switchIn } from './math/sparse.ts';
import { type Attachment, type Method, MethodError } from './method.ts';
import { shiraForm } from './shiraForm.ts';
import {
  entriesOf,
  maskSetting,
  maskStart,
  paintLayout,
  shiraMask,
  shiraNames,
  shiraUpdates,
} from './shiraMask.ts';
import { renewMasks } from './shiraRenew.ts';

/**
 * y = (W + S) x with S sparse on a fixed mask, its K values trained from zero (Bhardwaj et al., 2024, 3.1). K is a share
 * of each weight, or r (in + out) as PEFT has it. The mask is a buffer of positions, so painting in it compiles nothing.
 */
export const shira: Method = {
  card: {
    id: 'shira',
    title: 'SHiRA',
    about: 'Changes one or two in a hundred of the weights themselves and leaves the others to the bit.',
    paper: {
      title: 'Sparse High Rank Adapters',
      year: 2024,
      url: 'arxiv.org/abs/2406.13175',
    },
    formula: 'W + shira_weight:S@entries',
    channels: ['mask'],
    settings: [
      {
        key: 'density',
        label: 'Trained share',
        kind: 'number',
        default: 2,
        min: 0.01,
        max: 50,
        step: 0.01,
        scale: 'log',
        unit: '%',
        primary: true,
        live: false,
        help: 'Share of the entries of each target weight that train.',
      },
      maskSetting,
      {
        ...loraSettings.r,
        label: 'As many as LoRA of rank',
        default: 0,
        min: 0,
        scale: 'linear',
        primary: false,
        help: 'Trains as many entries as a LoRA of this rank would have numbers; 0 goes by the trained share.',
      },
      {
        key: 'rate',
        label: 'Rate of the entries',
        kind: 'number',
        default: 1,
        min: 0.1,
        max: 100,
        step: 0.1,
        scale: 'log',
        primary: false,
        live: false,
        help: 'Multiplies the learning rate for the entries, against that of the head.',
      },
      { ...loraSettings.scale, label: 'SHiRA scale' },
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = matrixTargets(model.modules, settings, 'SHiRA');
    const modules = [...targets.values()].map((m) => ({
      ...shiraNames(m.path),
      module: m,
      matrix: [m.shape[0], fanIn(m)] as const,
      count: entriesOf(m, settings),
    }));
    const start = maskStart(settings, [...targets.keys()]);
    const rule = { rate: settings.rate as number };
    return {
      targets: [...targets.keys()],
      parameters: modules.map(({ weight, count }) => ({
        name: weight,
        shape: [count],
        initial: () => new Float32Array(count),
        rule,
      })),
      buffers: modules.map(({ layout, module, matrix, count }) => ({
        name: layout,
        shape: [sparseLayoutSize(...matrix, count)],
        dtype: 'u32',
        initial: async (draw, base) =>
          Float32Array.from(sparseLayout(await start(module, count, draw, base), ...matrix)),
      })),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          const m = targets.get(call.path);
          if (!m) return null;
          if (isStrided(call.options))
            throw new MethodError(
              `'${call.path}' is a convolution that leaves pixels out, which SHiRA does not adapt. Leave it out of the target modules.`,
            );
          const { weight, layout } = shiraNames(call.path);
          const values = mul(own.parameter(weight), own.knob('scale'));
          return add(call.frozen(), sparseLinear(call.x, values, own.buffer(layout), m.shape[0]));
        },
      }),
    };
  },

  async merge(attachment, settings, tensors, base) {
    const merged = new Map<string, Float32Array>();
    for (const { path, ...update } of shiraUpdates(attachment, settings, tensors)) {
      const weight = (await base.weight(`${path}.weight`)).slice();
      switchIn(weight, update);
      merged.set(`${path}.weight`, weight);
    }
    return merged;
  },

  toSparse: shiraUpdates,
  masks: (attachment, tensors) => attachment.targets.map((path) => shiraMask(path, tensors)),
  paint: paintLayout,
  renew: renewMasks,
  peft: shiraForm,
};
