import { broadcastTo, concat, reshape, slice } from '../../gpu-shaders/index.ts';
import type { Setting } from '../describe.ts';
import { type Method, MethodError, type ModelDescription } from './method.ts';

/** How many tokens are learnt; PEFT's name. */
export const virtualTokens: Setting = {
  key: 'num_virtual_tokens',
  label: 'Learnt tokens',
  kind: 'integer',
  default: 10,
  min: 1,
  max: 200,
  step: 1,
  scale: 'log',
  primary: true,
  live: false,
  help: 'More tokens can change more and make every picture a longer sequence, at every use.',
};

/** PEFT's name. */
export const PROMPT = 'prompt_embeddings';

/**
 * Learnt tokens stand behind the class token where the embedded patches enter the first block (Jia et al., 2022,
 * "VPT-Shallow", eqs. 4–5), or before the words of a text (Lester et al., 2021). They start uniform in ±√(6 / (patch values + D)), as in VPT's
 * release. PEFT's PROMPT_TUNING serves text models only, so an adapter leaves in this project's own file.
 */
export const promptTuning: Method = {
  card: {
    id: 'prompt-tuning',
    title: 'Prompt tuning',
    about:
      'Puts a few learnt tokens beside those of the picture; the backbone reads them as if they were patches.',
    paper: { title: 'Visual Prompt Tuning', year: 2022, url: 'arxiv.org/abs/2203.12119' },
    formula: 'tokens | prompt_embeddings:P',
    channels: [],
    settings: [virtualTokens],
  },

  attach(model, settings) {
    const width = tokenWidth(model, 'Prompt tuning');
    if (model.takesTokens === false)
      throw new MethodError(
        'Prompt tuning adds to one sequence of tokens, and this backbone attends within windows of a map, which have no room for more. Choose prefix tuning on its last blocks, or a method that goes beside layers.',
      );
    const count = settings.num_virtual_tokens as number;
    const patch = model.modules.find((m) => m.block < 0);
    const patchValues = patch ? patch.shape.slice(1).reduce((n, d) => n * d, 1) : width;
    const bound = Math.sqrt(6 / (patchValues + width));
    return {
      targets: [],
      parameters: [
        {
          name: PROMPT,
          shape: [count, width],
          initial: (draw) => Float32Array.from({ length: count * width }, () => (2 * draw() - 1) * bound),
        },
      ],
      knobs: [],
      intercept: (own) => ({
        tokens(x, ahead) {
          const [batch, all, d] = x.shape;
          const learnt = broadcastTo(reshape(own.parameter(PROMPT), [1, count, d]), [batch, count, d]);
          const first = slice(x, [0, 0, 0], [batch, ahead, d]);
          return concat([first, learnt, slice(x, [0, ahead, 0], [batch, all - ahead, d])], 1);
        },
      }),
    };
  },

  unmergeable:
    'Prompt tuning adds tokens to the sequence and changes no weight, so there is nothing to fold in. The tokens stay beside the backbone.',
};

/** Features of a token. Throws `MethodError` for a backbone that reads no sequence of tokens. */
export function tokenWidth({ attentions, branches }: ModelDescription, method: string): number {
  if (!attentions.length)
    throw new MethodError(
      `${method} adds to a sequence of tokens, and this backbone has none. Choose a transformer, or a method that goes beside layers.`,
    );
  return branches.find((b) => b.kind === 'attention')?.width ?? attentions[0].width;
}
