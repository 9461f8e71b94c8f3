import { isFinished, showComparison } from '../stores/compare.ts';
import { useRuns } from '../stores/runs.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'compare',
  group: 'View',
  name: 'Compare runs',
  keywords: ['table', 'scatter', 'pareto', 'panel', 'csv', 'latex'],
  when: () => useRuns.getState().runs.some(isFinished),
  perform: showComparison,
};
