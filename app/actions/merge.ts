import { mergeable, showMerge } from '../stores/merge.ts';
import { useRuns } from '../stores/runs.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'merge',
  group: 'View',
  name: 'Merge adapters',
  keywords: ['add', 'sum', 'weights', 'slider', 'concept', 'panel'],
  when: () => mergeable(useRuns.getState().runs, []).length > 1,
  perform: () => showMerge(),
};
