import { go } from '../stores/view.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'go-machine',
  group: 'Go',
  name: 'About this machine',
  keywords: ['gpu', 'webgpu', 'limits', 'storage', 'adapter'],
  perform: () => go('machine'),
};
