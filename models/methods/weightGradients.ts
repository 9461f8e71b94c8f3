import type { Base } from './method.ts';

const known = new WeakMap<Base, Map<string, ReturnType<Base['gradients']>>>();

/** `base.gradients`, taken once for all modules that a method asks of, whichever of them comes first. */
export function weightGradients(paths: readonly string[], base: Base): ReturnType<Base['gradients']> {
  const held = known.get(base) ?? new Map<string, ReturnType<Base['gradients']>>();
  known.set(base, held);
  const key = paths.join('\n');
  const found = held.get(key) ?? base.gradients(paths);
  held.set(key, found);
  return found;
}
