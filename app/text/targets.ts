import type { BackboneCard, ModuleCard, ModulePreset } from '../../models/describe.ts';

/** PEFT's rule: a target is a module's whole path or a suffix that starts at a dot; `all-linear` takes every linear. */
export function isTarget(module: ModuleCard, targets: readonly string[]): boolean {
  return targets.some(
    (target) =>
      module.path === target ||
      module.path.endsWith(`.${target}`) ||
      (target === 'all-linear' && module.kind === 'linear'),
  );
}

export const targeted = (backbone: BackboneCard, targets: readonly string[]): ModuleCard[] =>
  backbone.modules.filter((module) => isTarget(module, targets));

/** Adds or removes one module. The list becomes whole paths: a suffix cannot say "all but this one". */
export function toggleTarget(backbone: BackboneCard, targets: readonly string[], path: string): string[] {
  const chosen = new Set(targeted(backbone, targets).map((module) => module.path));
  if (!chosen.delete(path)) chosen.add(path);
  return backbone.modules.filter((module) => chosen.has(module.path)).map((module) => module.path);
}

/** The preset that picks exactly the same modules, if one does. */
export function presetOf(backbone: BackboneCard, targets: readonly string[]): ModulePreset | undefined {
  const key = (list: readonly string[]) =>
    targeted(backbone, list)
      .map((module) => module.path)
      .join('\n');
  const wanted = key(targets);
  return wanted === '' ? undefined : backbone.presets.find((preset) => key(preset.targets) === wanted);
}

export const weights = (module: ModuleCard): number => module.shape.reduce((a, b) => a * b, 1);
