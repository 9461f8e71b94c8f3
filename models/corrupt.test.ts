import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from './checkpoints/bytes.ts';
import { openFolder } from './checkpoints/folder.ts';
import { readSafetensors, type TensorToWrite, writeSafetensors } from './checkpoints/safetensors.ts';
import { openModel } from './open.ts';

const folder = new URL('../tools/reference/fixtures/vit-tiny/', import.meta.url);
const config = new Uint8Array(readFileSync(new URL('config.json', folder)));
const whole = new Uint8Array(readFileSync(new URL('model.safetensors', folder)));
const name = 'vit.encoder.layer.1.attention.attention.key.weight';

/** The fixture's tensors, one of them changed; null leaves it out. */
async function changed(
  change: (tensor: TensorToWrite) => TensorToWrite | null,
  which = name,
): Promise<Uint8Array> {
  const checkpoint = await readSafetensors(bytesSource(whole));
  const tensors: TensorToWrite[] = [];
  for (const tensor of checkpoint.names()) {
    const given = { name: tensor, shape: checkpoint.info(tensor).shape, data: await checkpoint.f32(tensor) };
    const made = tensor === which ? change(given) : given;
    if (made) tensors.push(made);
  }
  return writeSafetensors(tensors);
}

const open = async (weights: Uint8Array) =>
  openModel(
    await openFolder(
      new Map<string, ByteSource>([
        ['config.json', bytesSource(config)],
        ['model.safetensors', bytesSource(weights)],
      ]),
    ),
  );

describe('a corrupt checkpoint is refused with the name of the tensor', () => {
  it('that is missing', async () => {
    await expect(open(await changed(() => null))).rejects.toThrow(name);
  });

  it('that is missing, though the architecture could do without', async () => {
    const bias = name.replace('weight', 'bias');
    await expect(open(await changed(() => null, bias))).rejects.toThrow(bias);
  });

  it('that has a type no weight has', async () => {
    const longs = await changed(({ name, shape }) => ({
      name,
      shape,
      dtype: 'I64',
      data: new Uint8Array(shape.reduce((a, b) => a * b, 8)),
    }));
    await expect(open(longs)).rejects.toThrow(`tensor "${name}" is I64`);
  });

  it('that has another shape', async () => {
    const half = await changed((t) => ({ ...t, shape: [16, 32], data: new Float32Array(512) }));
    await expect(open(half)).rejects.toThrow(name);
  });

  it('that holds NaN, when it is loaded', async () => {
    const model = await open(
      await changed((t) => ({ ...t, data: (t.data as Float32Array).with(77, Number.NaN) })),
    );
    const path = 'vit.layers.1.attention.k_proj.weight';
    const message = `tensor "${name}" holds NaN or infinity at element 77`;
    await expect(model.load(path)).rejects.toThrow(message);
    await expect(model.f32(path)).rejects.toThrow(message);
    await expect(model.pieces(path).next()).rejects.toThrow(message);
  });

  it('that was cut off', async () => {
    await expect(open(whole.subarray(0, whole.length - 10))).rejects.toThrow(/tensor ".+" lies at bytes/);
  });
});
