import { isActive, stop } from '../stores/runs.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'stop',
  group: 'Run',
  name: 'Stop and keep the best checkpoint',
  keywords: ['end', 'abort', 'finish'],
  when: ({ run }) => run !== null && run.state !== 'queued' && isActive(run),
  perform: ({ run }) => stop(run!.id),
};
