import { expect, test } from 'vitest';
import { trainablesOf } from '../../gpu-shaders/train/step.ts';
import { modelIn } from '../backbones/testing.ts';
import type { Settings } from '../describe.ts';
import { traceClassification, trainedParameters } from '../tasks/index.ts';
import { methods } from './index.ts';
import { MethodError } from './method.ts';

/** Methods that do not fit text models, and what they say. */
const refused: Readonly<Record<string, RegExp>> = {
  // It looks for attentions with an `o_proj`; Llama's are causal.
  'p-adapter': /graph of an attention|both ways/,
  // Llama and T5 have none.
  bitfit: /no biases/,
};

test.each(['bert-tiny', 'distilbert-odd-tiny', 'gpt2-tiny', 'llama-tiny', 't5-odd-tiny', 'bart-odd-tiny'])(
  'every method attaches to %s and reaches its loss, or says why not',
  async (fixture) => {
    const model = await modelIn(`tools/reference/fixtures/${fixture}`);
    const targets = model.backbone.presets(model.config)[0].targets;
    for (const method of methods) {
      const { id } = method.card;
      const settings: Settings = {
        ...Object.fromEntries(method.card.settings.map((s) => [s.key, s.default])),
        target_modules: targets,
        num_virtual_tokens: 3,
      };
      try {
        const attachment = method.attach(model, settings);
        const shape = { classes: 3, batch: 2, size: 7, labelSmoothing: 0, training: true };
        const { loss, logits } = traceClassification(model, attachment, shape);
        expect(logits.shape, id).toEqual([2, 3]);
        const reached = trainablesOf([loss]);
        const idle = trainedParameters(model, attachment, 3).filter((p) => !reached.has(p.name));
        expect(
          idle.map((p) => p.name),
          id,
        ).toEqual([]);
      } catch (error) {
        if (!(error instanceof MethodError))
          throw new Error(`${id}: ${(error as Error).message}`, { cause: error });
        expect(refused[id], `${id}: ${error.message}`).toBeDefined();
        expect(error.message).toMatch(refused[id]);
      }
    }
  },
);
