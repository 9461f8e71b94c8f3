import type { Claim } from '../claim.ts';
import { againstProbes } from './lora.ts';

const property =
  'LoRA in the last two blocks of the embedded Whisper encoder, against a linear probe on the same frozen features that is trained for the same steps. It holds when the 95 % interval of the paired margin lies above zero for every seed. A probe run to convergence, its penalty chosen on the test sounds themselves, is shown beside it: where the frozen features hold all that is asked, as of spoken digits, it is no worse than LoRA.';

/** The first two blocks are computed once, so that a machine without a GPU finishes in minutes. */
const targets = [2, 3].flatMap((i) =>
  ['q_proj', 'v_proj', 'fc1', 'fc2'].map(
    (name) => `encoder.layers.${i}.${name.endsWith('proj') ? 'self_attn.' : ''}${name}`,
  ),
);

const whisper = {
  backbone: 'whisper-tiny-en',
  lora: { target_modules: targets },
  convergedShown: true,
  says: 'steps of 16 at 1e-3, cosine; rank 8, alpha 16 in the last two of four blocks',
};
const common = { batch_size: 16, lr: 1e-3, schedule: 'cosine' };

/** Free Spoken Digit Dataset, official split: ten words of six voices, under a second each. */
export const spokenDigits: Claim = {
  method: 'spoken-digits',
  title: 'LoRA hears digits',
  property,
  steps: 200,
  prove: (options) =>
    againstProbes(options, { ...whisper, data: 'spoken-digits', common: { ...common, seconds: 1 } }),
};

/** ESC-10 (Piczak, 2015), fold 5 held out: ten kinds of sounds of five seconds. */
export const esc10: Claim = {
  method: 'esc10',
  title: 'LoRA hears rain, dogs and saws',
  property,
  steps: 120,
  prove: (options) =>
    againstProbes(options, { ...whisper, data: 'esc10', common: { ...common, seconds: 5 } }),
};
