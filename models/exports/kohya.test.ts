import { beforeAll, describe, expect, test } from 'vitest';
import { noise } from '../../gpu-shaders/testing/checkOp.ts';
import { modelIn } from '../backbones/testing.ts';
import { bytesSource } from '../checkpoints/bytes.ts';
import { readSafetensors, type TensorToWrite, writeSafetensors } from '../checkpoints/safetensors.ts';
import type { FileEntry } from '../data/entry.ts';
import { understand } from '../data/understand.ts';
import type { Model } from '../model.ts';
import { readAdapter } from './adapterZip.ts';
import { fromKohya } from './kohya.ts';

let model: Model;
beforeAll(async () => {
  model = await modelIn('tools/reference/fixtures/vit-tiny');
});

const PATH = 'vit.layers.0.attention.q_proj';

/** A file of one update of rank 2 under `stem`. */
function file(stem: string, more: TensorToWrite[] = [], wide = false): Uint8Array {
  const [out, inputs] = model.modules.find((m) => m.path === PATH)!.shape;
  const ones = wide ? [1, 1] : [];
  return writeSafetensors([
    { name: `${stem}.lora_down.weight`, shape: [2, inputs, ...ones], data: noise(2 * inputs, 1) },
    { name: `${stem}.lora_up.weight`, shape: [out, 2, ...ones], data: noise(2 * out, 2) },
    { name: `${stem}.alpha`, shape: [], data: Float32Array.of(1) },
    ...more,
  ]);
}

const read = async (bytes: Uint8Array) =>
  fromKohya(await readSafetensors(bytesSource(bytes)), model.modules, model.backbone);

describe('modules are found', () => {
  test.each([
    'lora_unet_vit_layers_0_attention_q_proj',
    'lora_te_vit_encoder_layer_0_attention_attention_query',
    'lora_te2_encoder_layer_0_attention_attention_query',
    'vit_layers_0_attention_q_proj',
    'unet.vit.layers.0.attention.q_proj',
  ])('by %s', async (stem) => {
    const { updates, saved } = await read(file(stem));
    expect([PATH, model.backbone.diskName(PATH)]).toContain(updates[0].path);
    expect([updates.length, updates[0].scale, saved.size]).toEqual([1, 0.5, 0]);
    expect(updates[0].a.shape).toEqual([2, 32]);
  });

  test('whose factors lie as 1×1 convolutions', async () => {
    const { updates } = await read(file('lora_unet_vit_layers_0_attention_q_proj', [], true));
    expect([updates[0].a.shape, updates[0].b.shape]).toEqual([
      [2, 32],
      [32, 2],
    ]);
  });
});

test('what does not belong is refused by name', async () => {
  await expect(read(file('lora_unet_down_blocks_0_attentions_0_proj_in'))).rejects.toThrow(
    /1 of the 1 modules.*down_blocks/,
  );
  const stem = 'lora_unet_vit_layers_0_attention_q_proj';
  const dora = { name: `${stem}.dora_scale`, shape: [32, 1], data: noise(32, 1) };
  await expect(read(file(stem, [dora]))).rejects.toThrow(/dora_scale/);
  await expect(read(file('lora_unet_vit_layers_0_mlp_fc1'))).rejects.toThrow(/do not fit/);
});

test('a lone file of this layout is understood as an adapter, and other weights are not', async () => {
  const entry = (bytes: Uint8Array): FileEntry => ({
    path: 'style.safetensors',
    size: bytes.length,
    bytes: async () => bytes,
  });
  const bytes = file('lora_unet_vit_layers_0_attention_q_proj');
  expect((await understand([entry(bytes)])).kind).toBe('adapter');
  expect((await readAdapter([entry(bytes)])).kohya?.names()).toHaveLength(3);
  const plain = writeSafetensors([{ name: 'weight', shape: [1], data: noise(1, 1) }]);
  expect((await understand([entry(plain)])).kind).toBe('unknown');
});
