import type { Checkpoint } from '../checkpoints/safetensors.ts';
import type { ModuleCard } from '../describe.ts';
import type { LowRankUpdate } from '../methods/method.ts';
import { type AdapterContent, AdapterError } from './adapter.ts';
import type { OlderNames } from './names.ts';

const down = '.lora_down.weight';

/** True of a file in the layout of kohya's scripts, which diffusion tools share: `<module>.lora_down.weight` and so on. */
export const isKohya = (names: readonly string[]): boolean => names.some((name) => name.endsWith(down));

/** What stands before a module's path: the part of a pipeline that it is in. */
const parts = /^(lora_unet_|lora_te\d*_|lora_transformer_|lora_|unet\.|text_encoder\.|transformer\.)/;

const flat = (path: string): string => path.replaceAll('.', '_');

/**
 * Reads a LoRA of kohya's layout: `lora_down` [r, in, …], `lora_up` [out, r, …], `alpha`, the scale being alpha / r (1
 * without alpha). Dots of module paths are underscores in it, so paths are found among `modules`, under the names of both
 * generations, with or without what the task class puts before them. Throws `AdapterError` for modules that the model has
 * not, and for kinds of update that are not read.
 */
export async function fromKohya(
  checkpoint: Checkpoint,
  modules: readonly ModuleCard[],
  names: OlderNames & { readonly basePrefix: string },
): Promise<AdapterContent> {
  const known = flatNames(modules, names);
  const strange = checkpoint
    .names()
    .find((name) => !/\.(lora_down\.weight|lora_up\.weight|alpha)$/.test(name));
  if (strange)
    throw new AdapterError(
      `The file holds "${strange}", which is no plain LoRA of kohya's layout (lora_down, lora_up, alpha); merge it into its base, or convert it to LoRA.`,
    );
  const stems = checkpoint
    .names()
    .flatMap((name) => (name.endsWith(down) ? [name.slice(0, -down.length)] : []));
  const found = stems.map((stem) => known.get(flat(stem)) ?? known.get(flat(stem.replace(parts, ''))));
  const missing = stems.filter((_, i) => !found[i]);
  if (missing.length)
    throw new AdapterError(
      `${missing.length} of the ${stems.length} modules in the file, such as "${missing[0]}", are none of this backbone's; choose the backbone that it was trained on.`,
    );
  const updates: LowRankUpdate[] = [];
  for (const [i, stem] of stems.entries()) updates.push(await updateOf(checkpoint, stem, found[i]!));
  return { updates, saved: new Map() };
}

interface Named {
  path: string;
  module: ModuleCard;
  /** Outputs of the module of that name: an older one may hold several of today's. */
  out: number;
}

/** Modules by every name that a file may give them, dots as underscores; those that several share are left out. */
function flatNames(modules: readonly ModuleCard[], names: OlderNames & { readonly basePrefix: string }) {
  const found = new Map<string, Named | null>();
  const { basePrefix } = names;
  for (const module of modules)
    for (const path of new Set([module.path, names.diskName(module.path)]))
      for (const name of [path, path.startsWith(basePrefix) ? path.slice(basePrefix.length) : path]) {
        const before = found.get(flat(name));
        // Several of today's modules may lie in one older one; that one has one name and one path.
        const same = before === undefined || before?.path === path;
        const of = path === module.path ? 1 : (names.diskPart?.(module.path)?.of ?? 1);
        found.set(flat(name), same ? { path, module, out: of * module.shape[0] } : null);
      }
  return found;
}

async function updateOf(
  checkpoint: Checkpoint,
  stem: string,
  { path, module, out }: Named,
): Promise<LowRankUpdate> {
  const up = `${stem}.lora_up.weight`;
  if (!checkpoint.has(up))
    throw new AdapterError(
      `The file has lora_down but not lora_up of "${stem}"; it is incomplete, fetch it again.`,
    );
  const tensor = async (name: string) => ({
    shape: plainShape(checkpoint.info(name).shape, module),
    data: await checkpoint.f32(name),
  });
  const [a, b] = [await tensor(stem + down), await tensor(up)];
  const rank = a.shape[0];
  const inputs = module.shape.slice(1);
  const fits =
    `${a.shape}` === `${[rank, ...inputs]}` &&
    `${b.shape.slice(0, 2)}` === `${[out, rank]}` &&
    b.data.length === out * rank;
  if (!fits)
    throw new AdapterError(
      `The factors of "${stem}", [${a.shape.join(', ')}] and [${b.shape.join(', ')}], do not fit '${path}', whose weight is [${module.shape.join(', ')}]; choose the backbone that it was trained on.`,
    );
  const alpha = checkpoint.has(`${stem}.alpha`) ? (await checkpoint.f32(`${stem}.alpha`))[0] : rank;
  return { path, a, b, scale: alpha / rank };
}

/** Some tools keep the factors of a linear layer as 1×1 convolutions. */
function plainShape(shape: readonly number[], { kind }: ModuleCard): readonly number[] {
  return kind === 'linear' && shape.slice(2).every((n) => n === 1) ? shape.slice(0, 2) : shape;
}
