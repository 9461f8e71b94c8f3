import { add, linear, mul, relu } from '../../gpu-shaders/index.ts';
import { bottleneckNames, bottleneckSettings, branchTargets, kaiming } from './bottleneck.ts';
import { applyFactors, factorNames, factors, loraSettings, loraTargets } from './loraParts.ts';
import { asUsed, bitsOf, bitsSetting, narrowStart, packedForm, quantised } from './lowPrecisionParts.ts';
import type { Attachment, Method } from './method.ts';

const paper = {
  title: 'Revisiting the Parameter Efficiency of Adapters from the Perspective of Precision Redundancy',
  year: 2023,
  url: 'arxiv.org/abs/2307.16867',
};

const scale = {
  ...loraSettings.scale,
  max: 100,
  primary: true,
  help: 'Multiplies what the adapters add; 0 shows the frozen backbone under the trained head.',
};

/** y = W x + s q(B) q(A) x with every number of A and B rounded to few bits while it trains (Jie et al., 2023, 3). */
export const lowPrecision: Method = {
  card: {
    id: 'low-precision',
    title: 'Low-precision LoRA',
    about: 'LoRA whose numbers take one bit each, and train that way; the file is a thirtieth in size.',
    paper,
    formula: 'W + lora_B.weight:B · lora_A.weight:A',
    channels: ['spectrum'],
    settings: [
      bitsSetting,
      { ...loraSettings.r, default: 32 },
      scale,
      loraSettings.dropout,
      loraSettings.targets,
    ],
  },

  attach(model, settings): Attachment {
    const targets = loraTargets(model.modules, settings, 'Low-precision LoRA');
    const bits = bitsOf(settings);
    return {
      targets: [...targets.keys()],
      parameters: [...targets.values()].flatMap((m) => {
        const [a, b] = factors(m, settings.r as number);
        return [a, { ...b, initial: narrowStart(m.shape[0] * (settings.r as number), bits) }];
      }),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        layer(call) {
          if (!targets.has(call.path)) return null;
          const names = factorNames(call.path);
          const [a, b] = [names.a, names.b].map((name) => quantised(own.parameter(name), bits));
          const x = own.dropout(call.x, settings.lora_dropout as number);
          return add(call.frozen(), mul(applyFactors(call, x, a, b), own.knob('scale')));
        },
      }),
    };
  },

  packed: packedForm,

  // Files of floats hold the numbers as training used them.
  toLowRank: (attachment, settings, tensors) =>
    attachment.targets.map((path) => {
      const [a, b] = Object.values(factorNames(path)).map((name) => {
        const { shape, data } = tensors.get(name)!;
        return { shape, data: asUsed(data, bitsOf(settings)) };
      });
      return { path, a, b, scale: settings.scale as number };
    }),
};

/**
 * Beside each MLP branch of a block, x + MLP(LN x) + s q(up) ReLU(q(down) x), without biases: the form that the paper
 * recommends. The input is the stream as it is, without a norm.
 */
export const lowPrecisionAdaptformer: Method = {
  card: {
    id: 'low-precision-adaptformer',
    title: 'Low-precision AdaptFormer',
    about: 'AdaptFormer whose numbers take one bit each, and train that way.',
    paper,
    formula: 'branch + adapter.up.weight:up · ReLU · adapter.down.weight:down',
    channels: [],
    settings: [
      bitsSetting,
      { ...bottleneckSettings.width, default: 32 },
      scale,
      bottleneckSettings.lastBlocks,
      bottleneckSettings.dropout,
    ],
  },

  attach(model, settings): Attachment {
    const branches = branchTargets(model, settings, 'Low-precision AdaptFormer', ['mlp']);
    const places = new Set(branches.map((b) => b.path));
    const bits = bitsOf(settings);
    const width = settings.bottleneck as number;
    return {
      targets: [...places],
      parameters: branches.flatMap((b) => {
        const { down, up } = bottleneckNames(b.path);
        return [
          { name: down, shape: [width, b.width], initial: kaiming(width * b.width, b.width) },
          { name: up, shape: [b.width, width], initial: narrowStart(b.width * width, bits) },
        ];
      }),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        branch(call) {
          if (!places.has(call.path)) return null;
          const { down, up } = bottleneckNames(call.path);
          const inner = relu(linear(call.x, quantised(own.parameter(down), bits)));
          const held = own.dropout(inner, settings.adapter_dropout as number);
          const added = linear(held, quantised(own.parameter(up), bits));
          return add(call.frozen(), mul(added, own.knob('scale')));
        },
      }),
    };
  },

  packed: packedForm,

  unmergeable:
    'Low-precision AdaptFormer has a nonlinearity between its two layers, so it cannot be folded into weights. It stays beside the branches and is computed at every use.',
};
