import { broadcastTo, concat, reshape, slice, type Tensor } from '../../gpu-shaders/index.ts';
import { bottleneckSettings, inLastBlocks } from './bottleneck.ts';
import { type AttachmentScope, type Method, MethodError, type ModelDescription } from './method.ts';
import { PROMPT, tokenWidth, virtualTokens } from './promptTuning.ts';

/** Start of the learnt keys and values: small, so that a prefix begins as a little more of nothing to attend to. */
const START = 0.02;

/**
 * Every attention sees learnt keys and values before those of the tokens (Li and Liang, 2021, section 4, without their
 * reparameterisation; on pictures: VPT-Deep's cheaper kin). One tensor holds them all, [tokens, blocks × 2 × D]: keys,
 * then values of each block, as PEFT lays them out. PEFT's PREFIX_TUNING serves text models only, so an adapter leaves
 * in this project's own file.
 */
export const prefixTuning: Method = {
  card: {
    id: 'prefix-tuning',
    title: 'Prefix tuning',
    about: 'Gives every attention a few learnt keys and values to look at beside the tokens of the picture.',
    paper: {
      title: 'Prefix-Tuning: Optimizing Continuous Prompts for Generation',
      year: 2021,
      url: 'arxiv.org/abs/2101.00190',
    },
    formula: 'attention over prompt_embeddings:K,V | keys, values',
    channels: [],
    settings: [
      virtualTokens,
      {
        ...bottleneckSettings.lastBlocks,
        help: 'Only so many of the last blocks get a prefix, which lets the blocks before them be computed once; 0 is all.',
      },
    ],
  },

  attach(model, settings) {
    const width = keyWidth(model, 'Prefix tuning');
    const places = inLastBlocks(model.attentions, model.blocks, settings);
    const odd = places.find((a) => a.keyWidth !== width);
    if (odd)
      throw new MethodError(
        `'${odd.path}' has ${odd.keyWidth} features and the first attention ${width}; a prefix takes one width. Choose fewer of the last blocks.`,
      );
    const order = new Map(places.map((a, i) => [a.path, i]));
    const count = settings.num_virtual_tokens as number;
    const shape = [count, places.length * 2 * width];
    return {
      targets: [...order.keys()],
      parameters: [
        {
          name: PROMPT,
          shape,
          initial: (draw) =>
            Float32Array.from({ length: shape[0] * shape[1] }, () => (2 * draw() - 1) * START),
        },
      ],
      knobs: [],
      intercept: (own) => ({
        attention({ path, k, v, frozen }) {
          const place = order.get(path);
          if (place === undefined) return null;
          return frozen(undefined, withPrefix(own, k, 2 * place), withPrefix(own, v, 2 * place + 1));
        },
      }),
    };
  },

  unmergeable:
    'Prefix tuning adds keys and values to every attention and changes no weight, so there is nothing to fold in. They stay beside the backbone.',
};

/** Keys or values [B, T, D] behind the learnt ones of band `band`. */
function withPrefix(own: AttachmentScope, x: Tensor, band: number): Tensor {
  const [batch, , width] = x.shape;
  const all = own.parameter(PROMPT);
  const learnt = slice(all, [0, band * width], [all.shape[0], width]);
  return concat([broadcastTo(reshape(learnt, [1, ...learnt.shape]), [batch, ...learnt.shape]), x], 1);
}

/** Features of a key, which are fewer than a token's where heads share keys. Throws `MethodError` without attention. */
function keyWidth(model: ModelDescription, method: string): number {
  tokenWidth(model, method);
  return model.attentions[0].keyWidth;
}
