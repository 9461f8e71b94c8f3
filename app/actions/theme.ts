import { setTheme, useView } from '../stores/view.ts';
import type { Action } from './types.ts';

const NEXT = { system: 'dark', dark: 'light', light: 'system' } as const;
const NAMES = { system: 'follow the system', dark: 'dark', light: 'light' };

export const action: Action = {
  id: 'theme',
  group: 'View',
  name: () => `Theme: change to ${NAMES[NEXT[useView.getState().theme]]}`,
  keywords: ['dark', 'light', 'appearance', 'colours'],
  perform: () => setTheme(NEXT[useView.getState().theme]),
};
