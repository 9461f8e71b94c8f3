import { train } from '../stores/runs.ts';
import { toldQueued } from './queued.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'add-to-queue',
  group: 'Run',
  name: 'Add to the queue',
  keywords: ['wait', 'later', 'next', 'enqueue', 'train'],
  key: { key: 'Enter', mod: true, shift: true },
  when: ({ trainable }) => trainable,
  perform: async () => toldQueued(await train({ wait: true })),
};
