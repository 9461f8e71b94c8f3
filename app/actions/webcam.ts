import { openCapture } from '../steps/data/capture.ts';
import { go } from '../stores/view.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'webcam',
  group: 'Data',
  name: 'Capture with the webcam',
  keywords: ['camera', 'photo', 'record'],
  when: ({ ready }) => ready,
  perform: () => {
    go('data');
    openCapture('image');
  },
};
