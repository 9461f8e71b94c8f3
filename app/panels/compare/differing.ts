import type { Settings } from '../../../models/describe.ts';
import type { Catalogue, RunView } from '../../../workers/protocol.ts';
import { backboneOf, formOf, methodOf } from '../../stores/plan.ts';
import { figure } from '../../text/format.ts';
import { presetOf } from '../../text/targets.ts';

/** Something that is not the same in all of some runs. */
export interface Difference {
  key: string;
  label: string;
  /** By run, in words; null where the run's method has no such setting. */
  words: (string | null)[];
  /** By run, for sorting. */
  values: (string | number | null)[];
}

/**
 * What differs among runs, and nothing else: data, backbone, method, then the settings in the order of their forms. A
 * setting that only some methods have differs where those runs do not agree on it. None for fewer than two runs.
 */
export function differing(runs: readonly RunView[], catalogue: Catalogue | null): Difference[] {
  if (runs.length < 2) return [];
  const found: Difference[] = [];
  const add = (key: string, label: string, plain: string[], words: (string | null)[], values = words) => {
    if (new Set(plain.filter((text) => text !== '')).size > 1)
      found.push({ key, label, words, values: values as Difference['values'] });
  };
  const names = runs.map((run) => run.datasetName);
  const hashes = runs.map((run) => run.dataHash ?? '');
  // Two versions of one data set bear one name; the hash tells them apart.
  const told = names.map((name, i) =>
    names.some((other, j) => other === name && hashes[i] !== hashes[j])
      ? `${name} ${hashes[i]!.slice(0, 6)}`
      : name,
  );
  add('dataset', 'Data', hashes, told);
  const backbones = runs.map((run) => run.plan.backbone);
  add(
    'backbone',
    'Backbone',
    backbones,
    backbones.map((id) => backboneOf(catalogue, id)?.title ?? id),
  );
  const methods = runs.map((run) => run.plan.method);
  add(
    'method',
    'Method',
    methods,
    methods.map((id) => methodOf(catalogue, id)?.title ?? id),
  );
  for (const [key, label] of settingsOf(runs, catalogue)) {
    const values = runs.map((run) => run.plan.settings[key]);
    add(
      key,
      label,
      values.map((value) => JSON.stringify(value) ?? ''),
      runs.map((run, i) => inWords(values[i], run, catalogue)),
      values.map((value, i) => (typeof value === 'number' ? value : inWords(value, runs[i]!, catalogue))) as (
        | string
        | null
      )[],
    );
  }
  return found;
}

/** Every setting of the runs with its label: those that forms list in their order, then the rest. */
function settingsOf(runs: readonly RunView[], catalogue: Catalogue | null): Map<string, string> {
  const labels = new Map<string, string>();
  for (const { plan } of runs)
    for (const { key, label } of formOf(catalogue, plan)) if (!labels.has(key)) labels.set(key, label);
  for (const run of runs)
    for (const key of Object.keys(run.plan.settings)) if (!labels.has(key)) labels.set(key, key);
  return labels;
}

function inWords(
  value: Settings[string] | undefined,
  run: RunView,
  catalogue: Catalogue | null,
): string | null {
  if (value === undefined) return null;
  if (typeof value === 'number') return figure(value);
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (!Array.isArray(value)) return value;
  const backbone = backboneOf(catalogue, run.plan.backbone);
  const preset = backbone && presetOf(backbone, value);
  return preset?.label ?? (value.length > 2 ? `${value.length} modules` : value.join(', ') || 'none');
}

/** One run's side of the differences, as a line: `Rank 8, Epochs 3`. */
export function sideOf(differences: readonly Difference[], index: number): string {
  return differences
    .flatMap(({ label, words }) => (words[index] === null ? [] : [`${label} ${words[index]}`]))
    .join(', ');
}
