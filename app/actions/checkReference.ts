import { check } from '../stores/runs.ts';
import { go } from '../stores/view.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'check',
  group: 'Result',
  name: 'Check the backbone against ONNX Runtime',
  keywords: ['compare', 'logits', 'reference', 'verify'],
  when: ({ run }) => run !== null,
  perform: ({ run }) => {
    go('result');
    return check(run!.plan.backbone);
  },
};
