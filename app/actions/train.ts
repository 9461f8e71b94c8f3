import { train } from '../stores/runs.ts';
import { toldQueued } from './queued.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'train',
  group: 'Run',
  name: 'Train',
  keywords: ['start', 'fit', 'run', 'go'],
  key: { key: 'Enter', mod: true },
  when: ({ trainable }) => trainable,
  perform: async () => toldQueued(await train()),
};
