import { openCapture } from '../steps/data/capture.ts';
import { go } from '../stores/view.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'microphone',
  group: 'Data',
  name: 'Record with the microphone',
  keywords: ['sound', 'audio', 'capture'],
  when: ({ ready }) => ready,
  perform: () => {
    go('data');
    openCapture('audio');
  },
};
