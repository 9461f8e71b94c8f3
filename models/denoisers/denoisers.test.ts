import { describe, expect, test } from 'vitest';
import { input } from '../../gpu-shaders/index.ts';
import { close } from '../../gpu-shaders/testing/checkOp.ts';
import { ConfigError } from '../backbones/backbone.ts';
import { denoiserFor } from './index.ts';
import { Autoencoder, openDenoiser } from './model.ts';
import { expectedOf, folderOf, valuesOf } from './testing.ts';
import { configureVae } from './vae.ts';

const TOLERANCE = 1e-4;
const rows: { name: string; folder?: string; variants: string[] }[] = [
  { name: 'dit-tiny', variants: ['', 'wide.'] },
  { name: 'dit-sigma-tiny', variants: [''] },
  { name: 'graft-dit', folder: 'models/weights/graft-dit', variants: [''] },
  { name: 'unet-tiny', variants: [''] },
  { name: 'unet-linear-tiny', variants: ['', 'wide.'] },
  { name: 'unet-plain-tiny', variants: [''] },
];

describe.each(rows)('$name', ({ name, folder, variants }) => {
  test.each(variants)('predicts what diffusers does %s', async (variant) => {
    const model = openDenoiser(await folderOf(name, folder));
    const expected = await expectedOf(name);
    const [batch, , height, width] = expected.info(`${variant}latents`).shape;
    const tokens = model.conditions.context ? expected.info(`${variant}context`).shape[1] : undefined;
    const inputs = model.inputs({ batch, height, width, tokens });
    const given: Record<string, Float32Array | Uint32Array> = {};
    for (const key of Object.keys(inputs)) {
      const values = await expected.f32(variant + key);
      given[key] = key === 'label' ? Uint32Array.from(values) : values;
    }
    const { sample } = await valuesOf(model.weights, { sample: model.trace(inputs) }, given);
    close(sample, await expected.f32(`${variant}sample`), TOLERANCE, `${name} ${variant}`);
  });

  test('names its modules as the checkpoint does', async () => {
    const { config, checkpoint } = await folderOf(name, folder);
    const model = openDenoiser({ config, checkpoint, preprocessor: undefined });
    const read = new Set(model.parameters.map((p) => p.path));
    expect(checkpoint.names().filter((n) => !read.has(n))).toEqual([]);
    for (const { path, block } of model.modules) {
      expect(checkpoint.has(`${path}.weight`)).toBe(true);
      expect(block).toBeGreaterThanOrEqual(-1);
      expect(block).toBeLessThanOrEqual(model.blocks);
    }
  });
});

test.each(['vae-tiny', 'vae-bare-tiny'])('%s encodes and decodes as diffusers does', async (name) => {
  const vae = new Autoencoder(await folderOf(name));
  const expected = await expectedOf(name);
  const traced = (key: string) => input(key, expected.info(key).shape, { sample: true });
  const outputs = { ...vae.encode(traced('pixels')), decoded: vae.decode(traced('latents')) };
  const given = { pixels: await expected.f32('pixels'), latents: await expected.f32('latents') };
  const found = await valuesOf(vae.weights, outputs, given);
  for (const key of ['mean', 'logVariance', 'decoded'] as const)
    close(found[key], await expected.f32(key), TOLERANCE, `${name} ${key}`);
});

describe('configurations that are not served are refused by name', () => {
  const unet = { _class_name: 'UNet2DConditionModel' };
  test.each([
    [{ _class_name: 'FluxTransformer2DModel' }, 'FluxTransformer2DModel'],
    [{ model_type: 'vit' }, '_class_name'],
    [{ _class_name: 'DiTTransformer2DModel', norm_type: 'layer_norm' }, 'norm_type'],
    [{ _class_name: 'DiTTransformer2DModel', sample_size: 9, patch_size: 2 }, 'sample_size'],
    [{ ...unet, down_block_types: ['AttnDownBlock2D'] }, 'AttnDownBlock2D'],
    [{ ...unet, block_out_channels: [8, 8] }, 'down_block_types'],
    [{ ...unet, addition_embed_type: 'text_time' }, 'addition_embed_type'],
    [{ ...unet, class_embed_type: 'timestep' }, 'class_embed_type'],
    [{ ...unet, encoder_hid_dim_type: 'text_proj' }, 'encoder_hid_dim_type'],
  ])('%j', (config, word) => {
    const refused = () => denoiserFor(config).configure(config);
    expect(refused).toThrow(ConfigError);
    expect(refused).toThrow(word);
  });

  test('an autoencoder of another kind', () => {
    expect(() => configureVae({ _class_name: 'AutoencoderTiny' })).toThrow('_class_name');
    expect(() => configureVae({ latents_mean: [0, 0, 0, 0] })).toThrow('latents_mean');
  });
});
