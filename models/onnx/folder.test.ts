import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openOnnx } from '../../tools/onnx/node.ts';
import { isGraph, openGraph } from '../../workers/session/graph.ts';
import { type ByteSource, bytesSource } from '../checkpoints/bytes.ts';
import { CheckpointError } from '../checkpoints/errors.ts';
import { openFolder } from '../checkpoints/folder.ts';
import { readSafetensors } from '../checkpoints/safetensors.ts';
import { openModel } from '../open.ts';
import { onnxFolder } from './folder.ts';
import { readOnnx } from './read.ts';

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../tools/reference/fixtures/graphs/${name}`, import.meta.url)));
const dropped = (name: string, more: [string, ByteSource][] = []) =>
  onnxFolder(new Map([[name, bytesSource(fixture(name))], ...more]));
const expected = await readSafetensors(bytesSource(fixture('expected.safetensors')));

describe('an ONNX file whose weights are a known family’s', () => {
  it.each([
    [
      'vit',
      {
        model_type: 'vit',
        hidden_size: 24,
        num_attention_heads: 3,
        intermediate_size: 40,
        image_size: 24,
        patch_size: 8,
        layer_norm_eps: 1e-12,
      },
    ],
    [
      'dinov2',
      {
        model_type: 'dinov2',
        hidden_size: 24,
        num_attention_heads: 2,
        mlp_ratio: 2,
        image_size: 28,
        patch_size: 4,
        layer_norm_eps: 1e-6,
      },
    ],
  ])('%s: becomes it, to the bit, its configuration found in the graph', async (name, config) => {
    const made = (await dropped(`${name}.onnx`))!;
    expect(made.sentence).toMatch(/The weights of .*onnx are those of a/);
    const { checkpoint, config: found } = await openFolder(made.files);
    expect(found).toMatchObject({ ...config, num_hidden_layers: 2 });
    const model = openModel({ checkpoint, config: found, preprocessor: undefined });
    const names = expected.names().filter((n) => n.startsWith(`${name}.`) && model.parameters.length > 0);
    let compared = 0;
    for (const full of names) {
      const own = [full.slice(name.length + 1), full.slice(name.length + 5)].find((n) => checkpoint.has(n));
      if (!own) continue;
      expect([own, ...(await checkpoint.f32(own))]).toEqual([own, ...(await expected.f32(full))]);
      compared++;
    }
    expect(compared).toBeGreaterThanOrEqual(model.parameters.length);
  });
});

describe('any other ONNX file', () => {
  it('runs as it is, its features the mean over places, in the batches that it takes', async () => {
    const made = (await dropped('convolutions.onnx'))!;
    expect(made.sentence).toContain('runs as it is');
    const folder = await openFolder(made.files);
    expect(folder.config).toMatchObject({
      input: 'image',
      output: 'map',
      layout: 'map',
      width: 6,
      image_size: 16,
      batch: 2,
    });
    expect(folder.preprocessor).toMatchObject({ crop_size: { height: 16, width: 16 } });
    const model = openModel(folder);
    if (!isGraph(model)) throw new Error('It is no graph.');
    const oracle = await readSafetensors(bytesSource(fixture('features.safetensors')));
    const session = await openGraph(model, openOnnx());
    const images = await oracle.f32('images');
    const { features } = await session.run({ pixels: { data: images, shape: [3, 3, 16, 16] } });
    await session.close();
    const wanted = await oracle.f32('features');
    expect(features).toHaveLength(18);
    for (let i = 0; i < 18; i++) expect(features[i]).toBeCloseTo(wanted[i], 5);
  });

  it('is refused in words where it takes no pictures, or is no ONNX file', async () => {
    const refused = onnxFolder(new Map([['x.onnx', bytesSource(new Uint8Array(0))]]));
    await expect(refused).rejects.toThrow('x.onnx: it holds no graph');
    expect(await onnxFolder(new Map([['config.json', bytesSource(new Uint8Array(2))]]))).toBeNull();
  });

  it('cut anywhere or changed, is a CheckpointError or a graph', async () => {
    const whole = fixture('convolutions.onnx');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 3 }),
        async (length, edits) => {
          const bytes = edits.length ? whole.slice() : whole.slice(0, length);
          for (const [at, value] of edits) bytes[at] = value;
          try {
            await readOnnx(bytesSource(bytes), 'x.onnx');
          } catch (error) {
            expect(error).toBeInstanceOf(CheckpointError);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
