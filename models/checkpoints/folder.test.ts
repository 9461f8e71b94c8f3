import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from './bytes.ts';
import { openFolder } from './folder.ts';
import { writeSafetensors } from './write.ts';

const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const weights = writeSafetensors([{ name: 'w', shape: [1], data: Float32Array.of(3) }]);
const tree = (files: Record<string, Uint8Array>): Map<string, ByteSource> =>
  new Map(Object.entries(files).map(([path, bytes]) => [path, bytesSource(bytes)]));

describe('openFolder', () => {
  it('reads configuration, preprocessing and weights', async () => {
    const folder = await openFolder(
      tree({
        'config.json': text({ model_type: 'vit' }),
        'preprocessor_config.json': text({ size: 224 }),
        'model.safetensors': weights,
      }),
    );
    expect(folder.config.model_type).toBe('vit');
    expect(folder.preprocessor).toEqual({ size: 224 });
    expect(await folder.checkpoint.f32('w')).toEqual(Float32Array.of(3));
  });

  it('follows a sharded index', async () => {
    const index = text({ weight_map: { w: 'model-00001-of-00001.safetensors' } });
    const files = tree({
      'config.json': text({}),
      'model.safetensors.index.json': index,
      'model-00001-of-00001.safetensors': weights,
    });
    const folder = await openFolder(files);
    expect(folder.preprocessor).toBeUndefined();
    expect(folder.checkpoint.names()).toEqual(['w']);
  });

  it('reads what torch.save wrote, alone or in shards, where there is nothing better', async () => {
    const saved = new Uint8Array(
      readFileSync(new URL('../../tools/reference/fixtures/pickles/training.pt', import.meta.url)),
    );
    const shard = 'pytorch_model-00001-of-00001.bin';
    const trees: Record<string, Uint8Array>[] = [
      { 'pytorch_model.bin': saved },
      { 'pytorch_model.bin.index.json': text({ weight_map: { w: shard } }), [shard]: saved },
      { 'weights.pth': saved },
    ];
    for (const files of trees) {
      const { checkpoint } = await openFolder(tree({ 'config.json': text({}), ...files }));
      expect([...(await checkpoint.f32('w'))]).toEqual([1, 1, 1, 1]);
    }
    const better = tree({
      'config.json': text({}),
      'pytorch_model.bin': saved,
      'model.safetensors': weights,
    });
    expect((await (await openFolder(better)).checkpoint.f32('w')).length).toBe(1);
  });

  const pickle = Uint8Array.of(0x80, 2, 0x8a, 0x0a);
  const torchZip = new Uint8Array(60);
  torchZip.set([0x50, 0x4b, 3, 4]);
  torchZip[26] = 16;
  torchZip.set(new TextEncoder().encode('archive/data.pkl'), 30);
  it.each([
    [
      'no configuration',
      { 'model.safetensors': weights },
      /config.json: it is not among the files \(model.safetensors\)/,
    ],
    ['no weights', { 'config.json': text({}) }, /model.safetensors: it is not among/],
    [
      'pickled weights',
      { 'config.json': text({}), 'pytorch_model.bin': pickle },
      /pytorch_model.bin: its pickle breaks off. The file is cut short/,
    ],
    [
      'a pickle in disguise',
      { 'config.json': text({}), 'model.safetensors': torchZip },
      /model.safetensors: it has no directory at its end/,
    ],
    [
      'broken JSON',
      { 'config.json': Uint8Array.of(0x7b), 'model.safetensors': weights },
      /config.json: it is not valid JSON/,
    ],
    [
      'a list for a configuration',
      { 'config.json': text([]), 'model.safetensors': weights },
      /not a JSON object/,
    ],
  ])('says what is wrong with %s', async (_, files, message) => {
    await expect(openFolder(tree(files as Record<string, Uint8Array>))).rejects.toThrow(message);
  });
});
