import { trains, useMachine } from '../stores/machine.ts';
import { planOf, usePlan } from '../stores/plan.ts';
import { useRuns } from '../stores/runs.ts';

/** Why Train cannot be pressed, or null. Said in the page instead of leaving a dead button unexplained. */
export function useTrainBlock(): string | null {
  const { status, machine } = useMachine();
  const whole = usePlan((s) => planOf(s) !== null);
  const method = usePlan((s) => s.method);
  const dataset = usePlan((s) => s.dataset);
  const unfit = usePlan((s) => s.error !== null || (s.estimate?.problem ?? null) !== null);
  const starting = useRuns((s) => s.starting);
  if (status === 'opening') return 'The engine is opening.';
  if (status === 'failed') return 'The engine did not open.';
  if (!dataset) return 'Add data first, or try a sample.';
  if (!whole) return 'Choose a backbone and a method.';
  if (method && !trains(machine, method)) return 'This method needs WebGPU. A linear probe works without it.';
  if (unfit) return 'These settings do not fit: the cost says why.';
  if (starting) return 'Starting…';
  return null;
}
