import { go, STEPS } from '../stores/view.ts';
import type { Action } from './types.ts';

const NAMES = { data: 'Data', backbone: 'Backbone', method: 'Method', train: 'Train', result: 'Result' };

export const actions: Action[] = STEPS.map((step, index) => ({
  id: `go-${step}`,
  group: 'Go',
  name: `Go to ${NAMES[step]}`,
  keywords: ['step', 'open', 'show'],
  key: { key: String(index + 1) },
  perform: () => go(step),
}));
