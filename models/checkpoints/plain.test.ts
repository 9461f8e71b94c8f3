import { expect, test } from 'vitest';
import { bytesSource } from './bytes.ts';
import { readSafetensors } from './checkpoint.ts';
import { plainFolder } from './plain.ts';
import { writeSafetensors } from './write.ts';

const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const json = (bytes: Uint8Array | undefined) => JSON.parse(new TextDecoder().decode(bytes));

test('int8 weights become f16 for libraries that read no int8, the rest stays', async () => {
  const files = new Map([
    [
      'config.json',
      text({ model_type: 'whisper', quantization_config: { quant_method: 'compressed-tensors' } }),
    ],
    [
      'model.safetensors',
      writeSafetensors([
        {
          name: 'a.weight',
          shape: [2, 2],
          dtype: 'I8',
          data: new Uint8Array(Int8Array.of(-4, 8, 127, 1).buffer),
        },
        { name: 'a.weight_scale', shape: [2, 1], data: Float32Array.of(0.25, 0.5) },
        { name: 'a.bias', shape: [2], data: Float32Array.of(1, 2) },
      ]),
    ],
    ['NOTICE', text('as it is')],
  ]);
  const plain = await plainFolder(files);
  expect(json(plain.get('config.json'))).toEqual({ model_type: 'whisper' });
  const checkpoint = await readSafetensors(bytesSource(plain.get('model.safetensors')!));
  expect(checkpoint.names().sort()).toEqual(['a.bias', 'a.weight']);
  expect(checkpoint.info('a.weight').dtype).toBe('F16');
  expect([...(await checkpoint.f32('a.weight'))]).toEqual([-1, 2, 63.5, 0.5]);
  expect([...(await checkpoint.f32('a.bias'))]).toEqual([1, 2]);
  expect(plain.get('NOTICE')).toBe(files.get('NOTICE'));
});

test('a folder without int8 comes back as it is', async () => {
  const files = new Map([
    ['config.json', text({ model_type: 'vit' })],
    ['model.safetensors', new Uint8Array(8)],
  ]);
  expect(await plainFolder(files)).toBe(files);
});
