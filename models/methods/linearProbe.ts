import type { Method } from './method.ts';

/** Trains the head alone on frozen features: the baseline every adapter is held against. */
export const linearProbe: Method = {
  card: {
    id: 'linear-probe',
    title: 'Linear probe',
    about: 'Trains only the classification head on the frozen features: the baseline to beat.',
    formula: 'features · head',
    channels: [],
    settings: [],
  },
  attach: () => ({ targets: [], parameters: [], knobs: [], intercept: () => ({}) }),
};
