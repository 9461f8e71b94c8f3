import { bytesSource } from './bytes.ts';
import { readSafetensors } from './checkpoint.ts';
import { type TensorToWrite, writeSafetensors } from './write.ts';

const WEIGHTS = 'model.safetensors';
const CONFIG = 'config.json';

/**
 * The files of a Hugging Face folder as the libraries read them without further packages: weights that are kept as int8
 * with scales become the f16 that they stand for, and the configuration says nothing of them. Other folders come back
 * as they are.
 */
export async function plainFolder(
  files: ReadonlyMap<string, Uint8Array>,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const [config, weights] = [files.get(CONFIG), files.get(WEIGHTS)];
  if (!config || !weights) return files;
  const { quantization_config: quantised, ...plain } = JSON.parse(new TextDecoder().decode(config));
  if (!quantised) return files;
  const checkpoint = await readSafetensors(bytesSource(weights));
  const tensors: TensorToWrite[] = [];
  for (const name of checkpoint.names()) {
    const { dtype, shape } = checkpoint.info(name);
    if (dtype === 'I8') tensors.push({ name, shape, dtype: 'F16', data: await checkpoint.f32(name) });
    else tensors.push({ name, shape, dtype, data: await checkpoint.bytes(name) });
  }
  const metadata = Object.fromEntries(checkpoint.metadata);
  return new Map([
    ...files,
    [CONFIG, new TextEncoder().encode(`${JSON.stringify(plain, null, 2)}\n`)],
    [WEIGHTS, writeSafetensors(tensors, metadata)],
  ]);
}
