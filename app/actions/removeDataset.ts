import { removeDataset } from '../stores/data.ts';
import type { Action } from './types.ts';
import { undoable } from './undoable.ts';

export const action: Action = {
  id: 'remove-dataset',
  group: 'Data',
  name: ({ dataset }) => `Remove data set ${dataset?.name ?? ''}`,
  keywords: ['delete', 'discard'],
  when: ({ dataset }) => dataset !== null,
  perform: async ({ dataset }) => {
    const restore = await removeDataset(dataset!.id);
    if (restore) undoable(`Removed ${dataset!.name}`, restore);
  },
};
