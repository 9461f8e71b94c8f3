import type { ModuleCard } from '../describe.ts';
import { MethodError } from './method.ts';

/**
 * Modules that `targets` name in PEFT's sense: an exact path or a dotted suffix, or the word `all-linear`.
 * Throws `MethodError` when a name matches nothing, listing what there is.
 */
export function resolveTargets(modules: readonly ModuleCard[], targets: readonly string[]): ModuleCard[] {
  if (!targets.length)
    throw new MethodError('No target modules are chosen. Choose at least one module to adapt.');
  const matches = (m: ModuleCard, target: string) =>
    target === 'all-linear' ? m.kind === 'linear' : m.path === target || m.path.endsWith(`.${target}`);
  for (const target of targets)
    if (!modules.some((m) => matches(m, target))) {
      const names = [...new Set(modules.map((m) => m.path.split('.').at(-1)))].join(', ');
      throw new MethodError(`No module is named '${target}'. This backbone's modules end in: ${names}.`);
    }
  return modules.filter((m) => targets.some((t) => matches(m, t)));
}
