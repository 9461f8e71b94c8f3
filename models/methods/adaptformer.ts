import { add, mul } from '../../gpu-shaders/index.ts';
import { bottleneck, bottleneckParameters, bottleneckSettings, branchTargets } from './bottleneck.ts';
import type { Attachment, Method } from './method.ts';

/**
 * Beside each MLP branch of a block, x′ + MLP(LN(x′)) + s · up(ReLU(down(x′))) (Chen et al., 2022, eqs. 3–4). The
 * bottleneck reads the stream x′ as it is, without a norm, as released. In sequence it reads what the branch gives:
 * y + s · up(ReLU(down(y))). A convolutional backbone gets it on its residual branches, as 1×1 convolutions.
 */
export const adaptformer: Method = {
  card: {
    id: 'adaptformer',
    title: 'AdaptFormer',
    about: 'Puts a small two-layer network beside the MLP of every block and trains only that and the head.',
    paper: {
      title: 'AdaptFormer: Adapting Vision Transformers for Scalable Visual Recognition',
      year: 2022,
      url: 'arxiv.org/abs/2205.13535',
    },
    formula: 'branch + adapter.up.weight:up · ReLU · adapter.down.weight:down',
    channels: [],
    settings: [
      bottleneckSettings.width,
      bottleneckSettings.scale,
      {
        key: 'placement',
        label: 'Placement',
        kind: 'choice',
        default: 'parallel',
        options: [
          { value: 'parallel', label: 'Beside the branch' },
          { value: 'sequential', label: 'Behind the branch' },
        ],
        primary: true,
        live: false,
        help: 'Whether the adapter reads what the branch reads, or what the branch gives.',
      },
      bottleneckSettings.lastBlocks,
      bottleneckSettings.dropout,
    ],
  },

  attach(model, settings): Attachment {
    const branches = branchTargets(model, settings, 'AdaptFormer', ['mlp']);
    const targets = branches.map((b) => b.path);
    const places = new Set(targets);
    return {
      targets,
      parameters: branches.flatMap((b) =>
        bottleneckParameters(b.path, b.width, settings.bottleneck as number),
      ),
      knobs: [{ name: 'scale', value: settings.scale as number }],
      intercept: (own) => ({
        branch(call) {
          if (!places.has(call.path)) return null;
          const y = call.frozen();
          const read = settings.placement === 'sequential' ? y : call.x;
          const added = bottleneck(own, call.path, read, 'relu', settings.adapter_dropout as number);
          return add(y, mul(added, own.knob('scale')));
        },
      }),
    };
  },

  unmergeable:
    'AdaptFormer has a nonlinearity between its two layers, so it cannot be folded into weights. It stays beside the branches and is computed at every use.',
};
