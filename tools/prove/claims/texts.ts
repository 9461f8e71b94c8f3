import type { Claim } from '../claim.ts';
import { againstProbes } from './lora.ts';

/** The first four blocks are computed once, so that a machine without a GPU finishes in minutes. */
const targets = [4, 5].flatMap((i) =>
  [
    'attention.self.query',
    'attention.self.value',
    'attention.output.dense',
    'intermediate.dense',
    'output.dense',
  ].map((name) => `bert.encoder.layer.${i}.${name}`),
);

/** Banking77 (Casanueva et al., 2020), official test: questions to a bank, 77 intents. */
export const banking77: Claim = {
  method: 'banking77',
  title: 'LoRA reads questions to a bank',
  property:
    'LoRA in the last two blocks of the embedded MiniLM, from the first 12 questions of each intent, tested on the first 10 of each, against two linear probes on the frozen features that its classification head reads (the pooled first token): one trained for the same steps, and one run to convergence whose penalty is chosen on the test questions themselves, which favours it. It holds when the 95 % intervals of both paired margins lie above zero for every seed.',
  steps: 500,
  prove: (options) =>
    againstProbes(options, {
      backbone: 'minilm-l6',
      data: 'banking77',
      perClass: 12,
      testPerClass: 10,
      common: { max_length: 32, batch_size: 16, lr: 5e-3, schedule: 'cosine' },
      lora: { target_modules: targets },
      says: 'steps of 16 at 5e-3, cosine; rank 8, alpha 16 in the last two of six blocks',
    }),
};
