import { describe, expect, it } from 'vitest';
import { entries, pngStart } from './testing.ts';
import { understand } from './understand.ts';

describe('understand', () => {
  it.each<[string, Parameters<typeof entries>[0], string, string]>([
    [
      'pictures, whatever their names',
      [
        ['a/1', pngStart],
        ['readme.txt', 'hi'],
      ],
      'images',
      '',
    ],
    [
      'an adapter',
      [['x/adapter_config.json', '{}'], ['x/adapter_model.safetensors', 'w'], 'x/a.png'],
      'adapter',
      'x',
    ],
    [
      'an adapter before the one nested in it',
      [
        ['z/transformers-4/adapter_config.json', '{}'],
        ['z/adapter_config.json', '{}'],
      ],
      'adapter',
      'z',
    ],
    [
      'a backbone',
      [
        ['m/config.json', '{}'],
        ['m/model.safetensors', 'w'],
      ],
      'backbone',
      'm',
    ],
    ['a configuration without weights', [['m/config.json', '{}']], 'table', ''],
    ['a table', [['t.csv', 'a,b\n1,2']], 'table', ''],
    ['a zip', [['x.zip', Uint8Array.of(0x50, 0x4b, 3, 4)]], 'zip', ''],
    ['nothing', ['.DS_Store'], 'unknown', ''],
    ['bare weights', [['w.safetensors', Uint8Array.of(1, 0, 0)]], 'unknown', ''],
  ])('knows %s', async (_, files, kind, folder) => {
    const found = await understand(entries(files));
    expect([found.kind, found.folder]).toEqual([kind, folder]);
    expect(found.sentence).toMatch(/\.$/);
  });
});
