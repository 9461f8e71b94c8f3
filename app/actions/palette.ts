import { useView } from '../stores/view.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'palette',
  group: 'View',
  name: 'Find a command',
  keywords: ['palette', 'search'],
  key: { key: 'k', mod: true },
  perform: () => void useView.setState(({ palette }) => ({ palette: !palette })),
};
