import { useView } from '../stores/view.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'keys',
  group: 'View',
  name: 'Show the keys',
  keywords: ['shortcuts', 'keyboard', 'help'],
  key: { key: '?' },
  perform: () => void useView.setState({ keys: true }),
};
