import { expect, test } from 'vitest';
import { modelIn } from './backbones/testing.ts';
import { resolveTargets } from './methods/targets.ts';
import { describeBackbone } from './open.ts';
import { defaultBackbone, embeddedBackbones } from './weights/index.ts';
import manifest from './weights/manifest.json' with { type: 'json' };

test('the default backbone is embedded', () => {
  expect(embeddedBackbones.map((b) => b.id)).toContain(defaultBackbone);
});

test.each(embeddedBackbones)('$id opens and describes itself in plain data', async (source) => {
  const model = await modelIn(`models/weights/${source.folder}`);
  const card = describeBackbone(model, source);
  expect(structuredClone(card)).toEqual(card);
  expect(card.parameters).toBe(manifest.backbones.find((b) => b.name === source.id)!.parameters);
  expect(card.modules.every((m) => m.block >= -1 && m.block <= card.blocks)).toBe(true);
  expect(new Set(card.modules.map((m) => m.path)).size).toBe(card.modules.length);
  for (const preset of card.presets) {
    const chosen = resolveTargets(card.modules, preset.targets);
    expect(
      chosen.some((m) => m.grouped),
      preset.id,
    ).toBe(false);
  }
  const { default: side, min, max, multiple } = card.size;
  expect(side >= min && side <= max && side % multiple === 0).toBe(true);
});
