import { useView } from '../stores/view.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'search',
  group: 'View',
  name: 'Search runs and data sets',
  keywords: ['find', 'filter', 'list'],
  key: { key: '/' },
  perform: () => {
    const field = document.querySelector<HTMLInputElement>('[data-testid="search"]');
    if (field) field.focus();
    else useView.setState({ palette: true });
  },
};
