import { expect, test } from 'vitest';
import { bytesSource, readSafetensors, writeSafetensors } from '../checkpoints/safetensors.ts';
import { AdapterError } from './adapter.ts';
import { fromNative, nativeName, toNative } from './native.ts';

const open = (bytes: Uint8Array) => readSafetensors(bytesSource(bytes), nativeName);

test('a method comes back with its settings and tensors', async () => {
  const adapter = {
    method: 'shira',
    settings: { density: 2, target_modules: ['q_proj'] },
    tensors: new Map([
      ['p.values', { shape: [3], data: Float32Array.of(1, -2, 3) }],
      ['head.weight', { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
    ]),
  };
  expect(await fromNative(await open(toNative(adapter)))).toEqual({ ...adapter, packed: new Map() });
});

test.each([
  [{ format: 'pt' }, /which method/],
  [{ format: 'graft', version: '2', method: 'lora' }, /version 2/],
  [{ format: 'graft', version: '1', method: 'lora', settings: '{' }, /not valid JSON/],
] as [Record<string, string>, RegExp][])('refuses %o', async (metadata, message) => {
  const file = await open(writeSafetensors([{ name: 'x', shape: [1], data: Float32Array.of(1) }], metadata));
  const reading = fromNative(file);
  await expect(reading).rejects.toThrow(AdapterError);
  await expect(reading).rejects.toThrow(message);
});
