import { pickFiles } from '../steps/data/intake.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'open-files',
  group: 'Data',
  name: 'Choose files',
  keywords: ['open', 'import', 'upload', 'zip', 'images', 'adapter'],
  key: { key: 'o', mod: true },
  when: ({ ready }) => ready,
  perform: () => pickFiles('files'),
};
