/**
 * Commands. Each file beside this one holds one and exports it as `action`; adding a file is all it takes.
 * Shared shapes are in `types.ts`, key matching in `keys.ts`.
 */
import { useData } from '../stores/data.ts';
import { trains, useMachine } from '../stores/machine.ts';
import { planOf, usePlan } from '../stores/plan.ts';
import { selectedRun, useRuns } from '../stores/runs.ts';
import { useView } from '../stores/view.ts';
import type { Action, Situation } from './types.ts';

const found = import.meta.glob<{ action?: Action; actions?: Action[] }>(
  ['./*.ts', '!./index.ts', '!./types.ts', '!./keys.ts', '!./*.test.ts'],
  { eager: true },
);

const GROUPS: Action['group'][] = ['Run', 'Data', 'Result', 'Go', 'View'];

export const actions: Action[] = Object.values(found)
  .flatMap((module) => [...(module.action ? [module.action] : []), ...(module.actions ?? [])])
  .sort((a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group));

export function situation(): Situation {
  const { machine, catalogue, status } = useMachine.getState();
  const plan = planOf(usePlan.getState());
  const { datasets } = useData.getState();
  return {
    machine,
    ready: status === 'ready',
    place: useView.getState().place,
    dataset: datasets.find((d) => d.id === usePlan.getState().dataset) ?? null,
    run: selectedRun(useRuns.getState()),
    trainable: plan !== null && trains(machine, plan.method),
    sample: catalogue?.samples[0]?.id ?? null,
  };
}

export function perform(id: string): void {
  const action = actions.find((a) => a.id === id);
  if (!action) throw new Error(`There is no command called ${id}.`);
  void action.perform(situation());
}
