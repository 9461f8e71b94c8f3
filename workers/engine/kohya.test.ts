import 'fake-indexeddb/auto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { writeSafetensors } from '../../models/checkpoints/safetensors.ts';
import { browser, fetchFile } from './testing.ts';

beforeAll(() => {
  vi.stubGlobal('fetch', fetchFile);
});
afterAll(() => {
  vi.unstubAllGlobals();
});

/** A file of kohya's layout with an update of rank 2 for the layer of that name, [1280, 320, 1, 1]. */
function dropped(stem: string) {
  const bytes = writeSafetensors([
    { name: `${stem}.lora_down.weight`, shape: [2, 320, 1, 1], data: new Float32Array(640).fill(0.1) },
    { name: `${stem}.lora_up.weight`, shape: [1280, 2, 1, 1], data: new Float32Array(2560).fill(0.2) },
    { name: `${stem}.alpha`, shape: [], data: Float32Array.of(1) },
  ]);
  return [{ path: 'style.safetensors', file: new File([bytes as BlobPart], 'style.safetensors') }];
}

test('a LoRA of kohya’s opens on the backbone whose modules it names, without a head', async () => {
  const { engine } = await (await browser('kohya')).tab();
  const taken = await engine.take(dropped('lora_unet_conv_head'));
  expect(taken).toMatchObject({
    kind: 'adapter',
    run: {
      name: 'style',
      state: 'imported',
      headless: true,
      plan: { backbone: 'efficientnet-lite0', method: 'lora', settings: { r: 2, lora_alpha: 1 } },
    },
  });
});

test('one for another network is refused with what it names', async () => {
  const { engine } = await (await browser('kohya-other')).tab();
  await expect(engine.take(dropped('lora_unet_down_blocks_0_attentions_0_proj_in'))).rejects.toThrow(
    /none of the backbones.*down_blocks_0/,
  );
});
