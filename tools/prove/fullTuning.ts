import type { ModelDescription } from '../../models/methods/method.ts';
import { type Attachment, type Method, MethodError } from '../../models/methods/method.ts';

/**
 * Trains the weights themselves, of the last blocks and what is behind them: the baseline that adapters are held against.
 * A proof's own, for it adds nothing that could be shared as a file.
 */
export const fullTuning: Method = {
  card: {
    id: 'full-tuning',
    title: 'Full fine-tuning',
    about: 'Trains every layer of the last blocks, weight and bias.',
    channels: [],
    settings: [
      {
        key: 'last_blocks',
        label: 'Last blocks',
        kind: 'integer',
        default: 0,
        min: 0,
        max: 200,
        step: 1,
        primary: true,
        live: false,
        help: 'Only so many of the last blocks are trained; 0 is all.',
      },
    ],
  },

  attach(model: ModelDescription, settings): Attachment {
    const last = settings.last_blocks as number;
    const modules = model.modules.filter((m) => !last || m.block >= model.blocks - last);
    if (!modules.length) throw new MethodError('There is no module to train. Choose more blocks.');
    const own = new Set(modules.flatMap((m) => [`${m.path}.weight`, `${m.path}.bias`]));
    const parameters = model.parameters.filter((p) => own.has(p.path));
    const names = new Set(parameters.map((p) => p.path));
    return {
      targets: modules.map((m) => m.path),
      parameters: parameters.map(({ path, shape }) => ({
        name: `full.${path}`,
        shape,
        initial: (_, base) => base.weight(path),
      })),
      knobs: [],
      intercept: (scope) => ({
        parameter: (path) => (names.has(path) ? scope.parameter(`full.${path}`) : null),
      }),
    };
  },
};
