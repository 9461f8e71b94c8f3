import { openSample } from '../stores/data.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'try-sample',
  group: 'Data',
  name: 'Try the sample data set',
  keywords: ['example', 'demo'],
  when: ({ sample, ready }) => ready && sample !== null,
  perform: ({ sample }) => openSample(sample!),
};
