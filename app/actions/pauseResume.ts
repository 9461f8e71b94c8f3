import { canResume, isMoving, pause, resume } from '../stores/runs.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'pause-resume',
  group: 'Run',
  name: ({ run }) => (run && isMoving(run) ? 'Pause' : 'Resume'),
  keywords: ['pause', 'resume', 'continue', 'hold'],
  key: { key: ' ' },
  when: ({ run }) => run !== null && (isMoving(run) || canResume(run)),
  perform: ({ run }) => (isMoving(run!) ? pause(run!.id) : resume(run!.id)),
};
