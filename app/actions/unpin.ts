import { useHover } from '../stores/hover.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'unpin',
  group: 'View',
  name: 'Unpin the class or module',
  keywords: ['highlight', 'clear'],
  key: { key: 'Escape' },
  when: () => useHover.getState().pinnedClass !== null || useHover.getState().pinnedModule !== null,
  perform: () => useHover.setState({ pinnedClass: null, pinnedModule: null }),
};
