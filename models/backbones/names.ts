import type { Checkpoint } from '../checkpoints/safetensors.ts';
import type { Backbone, DiskPart } from './backbone.ts';

/** A stored tensor, or a band of its rows. */
export interface DiskPlace {
  name: string;
  part?: DiskPart;
}

/**
 * Where a checkpoint keeps the parameter of a run-time path: under that path, under the older name that files
 * carry, or under either without the prefix of the task class (files of the bare model). Undefined where it has none.
 */
export function locate(
  checkpoint: Pick<Checkpoint, 'has'>,
  backbone: Pick<Backbone, 'diskName' | 'diskPart' | 'basePrefix'>,
  path: string,
): DiskPlace | undefined {
  const { basePrefix } = backbone;
  const bare = (name: string) => (name.startsWith(basePrefix) ? name.slice(basePrefix.length) : name);
  const old = backbone.diskName(path);
  for (const name of [path, bare(path)]) if (checkpoint.has(name)) return { name };
  for (const name of [old, bare(old)])
    if (checkpoint.has(name)) return { name, part: backbone.diskPart?.(path) };
  return undefined;
}
