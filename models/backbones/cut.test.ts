import { expect, test } from 'vitest';
import { frozenCut } from '../../gpu-shaders/index.ts';
import { methodById } from '../methods/index.ts';
import { traceClassification } from '../tasks/index.ts';
import { modelIn } from './testing.ts';

const fixtures = 'tools/reference/fixtures';
const weights = 'models/weights';

/** A backbone, the preset LoRA attaches to (none: a linear probe), the input side, and what is kept of a picture. */
const rows: [string, string | undefined, number, number[][]][] = [
  [`${weights}/efficientnet-lite0`, 'late-pointwise', 128, [[8, 8, 112]]],
  [`${weights}/efficientnet-lite0`, 'late-pointwise', 224, [[14, 14, 112]]],
  [`${weights}/efficientnet-lite0`, 'last-pointwise', 128, [[4, 4, 192]]],
  [`${weights}/efficientnet-lite0`, undefined, 128, [[1280]]],
  [`${weights}/vit-s14-saliency`, 'last-blocks', 98, [[50, 384]]],
  [`${weights}/vit-s14-saliency`, 'query-value', 98, [[49, 384]]],
  [`${fixtures}/vit-tiny`, 'last-blocks', 32, [[17, 32]]],
  [`${fixtures}/dinov2-tiny`, 'last-blocks', 28, [[50, 32]]],
  [`${fixtures}/dinov2-registers-tiny`, 'query-value', 28, [[49, 32]]],
];

test.each(rows)('%s, %s at %i px: one small value a picture is kept', async (folder, preset, side, kept) => {
  const model = await modelIn(folder);
  const { targets } = model.backbone.presets(model.config).find((p) => p.id === preset) ?? { targets: [] };
  const method = methodById(preset ? 'lora' : 'linear-probe');
  const attachment = method.attach(model, {
    r: 4,
    lora_alpha: 8,
    scale: 1,
    lora_dropout: 0.1,
    target_modules: targets,
  });
  const shape = { classes: 3, batch: 2, size: side, labelSmoothing: 0, training: true };
  const { loss, hits, logits } = traceClassification(model, attachment, shape);
  expect(frozenCut([loss, hits, logits]).map((t) => t.shape)).toEqual(kept.map((s) => [2, ...s]));
});
