import { moveQueue, queueOf } from '../stores/queue.ts';
import { useRuns } from '../stores/runs.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'move-queue',
  group: 'Run',
  name: () => (useRuns.getState().queueMoves ? 'Hold the queue' : 'Start the queue'),
  keywords: ['next', 'wait', 'begin', 'pause'],
  when: () => queueOf(useRuns.getState().runs).length > 0,
  perform: () => moveQueue(!useRuns.getState().queueMoves),
};
