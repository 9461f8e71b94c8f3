import { pickFiles } from '../steps/data/intake.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'open-folder',
  group: 'Data',
  name: 'Choose a folder',
  keywords: ['open', 'import', 'upload', 'directory'],
  when: ({ ready }) => ready,
  perform: () => pickFiles('folder'),
};
