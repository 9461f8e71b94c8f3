import { useView } from '../stores/view.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'panels',
  group: 'View',
  name: () => (useView.getState().dockOpen ? 'Close the panels' : 'Open the panels'),
  keywords: ['rank', 'compare', 'spectrum', 'log', 'profile', 'dock'],
  key: { key: 'p' },
  perform: () => void useView.setState(({ dockOpen }) => ({ dockOpen: !dockOpen })),
};
