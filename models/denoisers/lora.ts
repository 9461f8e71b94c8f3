import { type Checkpoint, writeSafetensors } from '../checkpoints/safetensors.ts';
import { AdapterError, folded } from '../exports/adapter.ts';
import type { LowRankUpdate } from '../methods/method.ts';
import type { DenoiserModel } from './model.ts';

/** What pipelines put before a module's path. */
const PREFIX = /^(base_model\.model\.)?(transformer|unet)\./;
const FACTOR = /^(.+)\.(lora_A|lora_B|lora\.down|lora\.up)(\.default)?\.weight$/;

/**
 * The low-rank updates of a diffusers LoRA file (`pytorch_lora_weights.safetensors`, or PEFT's own) for this denoiser: keys
 * `transformer.` or `unet.`, the module's path, `.lora_A.weight` [r, in] and `.lora_B.weight` [out, r]. The scale is
 * alpha / r, where the header or an `.alpha` tensor has an alpha, else 1. Throws `AdapterError` that names what does not fit.
 */
export async function readDiffusersLora(file: Checkpoint, model: DenoiserModel): Promise<LowRankUpdate[]> {
  const factors = new Map<string, { a?: string; b?: string }>();
  for (const name of file.names()) {
    const found = FACTOR.exec(name);
    if (!found) {
      if (name.endsWith('.alpha')) continue;
      throw new AdapterError(
        `The adapter has a tensor "${name}", which is no factor of a LoRA in diffusers' layout.`,
      );
    }
    const entry = factors.get(found[1]) ?? {};
    entry[found[2] === 'lora_A' || found[2] === 'lora.down' ? 'a' : 'b'] = name;
    factors.set(found[1], entry);
  }
  if (!factors.size)
    throw new AdapterError('The adapter holds no LoRA factors, so there is nothing to apply.');
  const shapes = new Map(model.modules.map((m) => [m.path, m.shape]));
  const alphas = headerAlphas(file);
  return Promise.all(
    [...factors].map(async ([key, { a, b }]) => {
      const path = key.replace(PREFIX, '');
      const shape = shapes.get(path);
      if (!shape) throw new AdapterError(`The adapter changes "${path}", which this denoiser does not have.`);
      if (!a || !b)
        throw new AdapterError(`The adapter has one factor of "${path}" only; fetch the file again.`);
      const [left, right] = [file.info(b).shape, file.info(a).shape];
      if (left[0] !== shape[0] || right[1] !== shape[1] || left[1] !== right[0])
        throw new AdapterError(
          `The adapter's factors of "${path}" are [${left}] and [${right}], which do not fit a weight [${shape}].`,
        );
      const rank = right[0];
      const alpha = file.has(`${key}.alpha`) ? (await file.f32(`${key}.alpha`))[0] : (alphas(path) ?? rank);
      return {
        path,
        a: { shape: right, data: await file.f32(a) },
        b: { shape: left, data: await file.f32(b) },
        scale: alpha / rank,
      };
    }),
  );
}

/** Alphas as diffusers keeps them, a JSON object in the header: one for all, and some for patterns of paths. */
function headerAlphas(file: Checkpoint): (path: string) => number | undefined {
  const text = file.metadata.get('lora_adapter_metadata');
  if (!text) return () => undefined;
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new AdapterError(
      `The adapter's metadata is not valid JSON (${(error as Error).message}); export it again.`,
    );
  }
  const read = (name: string) => parsed[name] ?? parsed[`transformer.${name}`] ?? parsed[`unet.${name}`];
  const patterns = Object.entries((read('alpha_pattern') ?? {}) as Record<string, number>);
  const alpha = read('lora_alpha') as number | undefined;
  return (path) => patterns.find(([key]) => path === key || path.endsWith(`.${key}`))?.[1] ?? alpha;
}

/**
 * A diffusers LoRA file of updates: `transformer.` or `unet.`, path, `.lora_A.weight` and `.lora_B.weight`. The scale is in B, so
 * that every loader's default of alpha = r is right.
 */
export function writeDiffusersLora(updates: readonly LowRankUpdate[], model: DenoiserModel): Uint8Array {
  const prefix = model.denoiser.className === 'UNet2DConditionModel' ? 'unet' : 'transformer';
  const tensors = updates.map(folded).flatMap(({ path, a, b }) => [
    { name: `${prefix}.${path}.lora_A.weight`, shape: a.shape, data: a.data },
    { name: `${prefix}.${path}.lora_B.weight`, shape: b.shape, data: b.data },
  ]);
  return writeSafetensors(tensors, { format: 'pt' });
}
