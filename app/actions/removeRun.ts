import { remove } from '../stores/runs.ts';
import type { Action } from './types.ts';
import { undoable } from './undoable.ts';

export const action: Action = {
  id: 'remove-run',
  group: 'Run',
  name: ({ run }) => `Remove run ${run?.name ?? ''}`,
  keywords: ['delete', 'discard'],
  when: ({ run }) => run !== null,
  perform: async ({ run }) => {
    const restore = await remove(run!.id);
    if (restore) undoable(`Removed ${run!.name}`, restore);
  },
};
