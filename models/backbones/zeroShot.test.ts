import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openFolder } from '../checkpoints/folder.ts';
import { bytesSource } from '../checkpoints/safetensors.ts';
import { given, relative } from './imageFixtures.ts';
import { evaluate, expectedOf } from './testing.ts';
import { openZeroShot } from './zeroShot.ts';

const folderOf = (name: string) => {
  const path = fileURLToPath(new URL(`../../tools/reference/fixtures/${name}/`, import.meta.url));
  return openFolder(
    new Map(readdirSync(path).map((f) => [f, bytesSource(new Uint8Array(readFileSync(path + f)))])),
  );
};

describe.each(['clip-tiny', 'clip-eos-tiny', 'siglip-tiny', 'siglip-wide-tiny'])('%s', (name) => {
  test.each(['', 'odd.'])('gives the logits of texts for pictures that PyTorch does %s', async (variant) => {
    const [both, expected] = [openZeroShot(await folderOf(name)), await expectedOf(name)];
    const pictures = await given(both.image, expected, variant);
    const texts = await given(both.text, expected, variant);
    const [images, words] = [both.embedImages(pictures.inputs), both.embedTexts(texts.inputs)];
    const logits = both.logitsPerImage(images, words);
    const { last } = both.text.trace(texts.inputs);
    const found = await evaluate(both.image, { logits, last }, { ...pictures.values, ...texts.values });
    expect(relative(found.logits, await expected.f32(`${variant}logits_per_image`))).toBeLessThan(1e-4);
    expect(relative(found.last, await expected.f32(`${variant}text_last_hidden_state`))).toBeLessThan(1e-4);
  });
});

test('what has no two towers to compare is refused', async () => {
  const folder = await folderOf('siglip-classifier-tiny');
  expect(() => openZeroShot(folder)).toThrow(/no pooling head \(vision_use_head/);
  expect(() => openZeroShot({ ...folder, config: { model_type: 'vit' } })).toThrow(/'vit'.*no text tower/);
});
