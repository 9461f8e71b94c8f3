import type { LowRankUpdate } from '../methods/method.ts';
import { type AdapterContent, AdapterError, folded } from './adapter.ts';

/**
 * How a family's modules were called before transformers 5, which is also how its files call them. A backbone gives
 * this; the table of names is in its file and nowhere else.
 */
export interface OlderNames {
  diskName(path: string): string;
  /** Where one older module holds several of today's, stacked along its outputs: which of how many this is. */
  diskPart?(path: string): { readonly part: number; readonly of: number } | undefined;
}

/** True where an older generation calls any of these modules otherwise, so that an adapter needs two files. */
export function isRenamed(paths: readonly string[], names: OlderNames): boolean {
  return paths.some((path) => names.diskName(path) !== path);
}

/** Which generation's names an adapter's modules carry; undefined where they are of neither. */
export function generationOf(
  adapted: readonly string[],
  paths: readonly string[],
  names: OlderNames,
): 'current' | 'older' | undefined {
  const current = new Set(paths);
  if (adapted.every((path) => current.has(path))) return 'current';
  const older = new Set(paths.map((path) => names.diskName(path)));
  return adapted.every((path) => older.has(path)) ? 'older' : undefined;
}

/**
 * The same adapter under the names of transformers 4. Updates of modules that were one before become one: their A are
 * stacked, and each B stands in its own rows and columns, so that the product is the same and the ranks add up.
 */
export function toOlder(content: AdapterContent, names: OlderNames): AdapterContent {
  const groups = new Map<string, LowRankUpdate[]>();
  for (const update of content.updates) {
    const name = names.diskName(update.path);
    groups.set(name, [...(groups.get(name) ?? []), update]);
  }
  const updates = [...groups].map(([path, group]) => {
    const part = names.diskPart?.(group[0].path);
    return part ? stack(path, group, names) : { ...group[0], path };
  });
  return { updates, saved: renameSaved(content, names.diskName.bind(names)) };
}

function stack(path: string, group: readonly LowRankUpdate[], names: OlderNames): LowRankUpdate {
  const parts = group.map((update) => ({ ...folded(update), ...names.diskPart!(update.path)! }));
  const rank = parts.reduce((sum, { a }) => sum + a.shape[0], 0);
  const [rows, inputs] = [parts[0].b.shape[0], parts[0].a.shape[1]];
  const a = new Float32Array(rank * inputs);
  const b = new Float32Array(rows * parts[0].of * rank);
  let first = 0;
  for (const update of parts) {
    const own = update.a.shape[0];
    a.set(update.a.data, first * inputs);
    for (let row = 0; row < rows; row++) {
      b.set(update.b.data.subarray(row * own, (row + 1) * own), (update.part * rows + row) * rank + first);
    }
    first += own;
  }
  return {
    path,
    a: { shape: [rank, inputs], data: a },
    b: { shape: [rows * parts[0].of, rank], data: b },
    scale: 1,
  };
}

/**
 * An adapter with older names under today's, for a model with modules at `paths`. An update of a module that is
 * several now is cut into one for each. Throws `AdapterError` for a name that the model never had.
 */
export function fromOlder(
  content: AdapterContent,
  paths: readonly string[],
  names: OlderNames,
): AdapterContent {
  const today = new Map<string, string[]>();
  for (const path of paths)
    today.set(names.diskName(path), [...(today.get(names.diskName(path)) ?? []), path]);
  const one = (path: string): string[] => {
    const found = today.get(path);
    if (!found)
      throw new AdapterError(
        `The adapter is for "${path}", which this backbone never had under any name; choose the backbone that it was trained on.`,
      );
    return found;
  };
  const updates = content.updates.flatMap((update) =>
    one(update.path).map((path) => cut(update, path, names.diskPart?.(path))),
  );
  const older = new Map(paths.map((path) => [names.diskName(path), path]));
  return { updates, saved: renameSaved(content, (module) => older.get(module) ?? module) };
}

function cut(
  update: LowRankUpdate,
  path: string,
  part: { part: number; of: number } | undefined,
): LowRankUpdate {
  if (!part) return { ...update, path };
  const [out, rank] = update.b.shape;
  const rows = out / part.of;
  const data = update.b.data.slice(part.part * rows * rank, (part.part + 1) * rows * rank);
  return { ...update, path, b: { shape: [rows, rank], data } };
}

function renameSaved(content: AdapterContent, rename: (module: string) => string): AdapterContent['saved'] {
  return new Map(
    [...content.saved].map(([path, tensor]) => {
      const dot = path.lastIndexOf('.');
      return [rename(path.slice(0, dot)) + path.slice(dot), tensor];
    }),
  );
}
