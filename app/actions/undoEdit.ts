import { undoEdit } from '../stores/data.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'undo-edit',
  group: 'Data',
  name: 'Undo the last change to the data set',
  keywords: ['back', 'revert', 'rename', 'merge', 'drop'],
  key: { key: 'z', mod: true, shift: false },
  when: ({ dataset }) => dataset?.canUndo === true,
  perform: ({ dataset }) => undoEdit(dataset!.id),
};
