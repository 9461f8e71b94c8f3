import { downloadElsewhere } from '../steps/result/download.ts';
import { hasResult } from '../stores/runs.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'download-elsewhere',
  group: 'Result',
  name: 'Run elsewhere: download the folder',
  keywords: ['cluster', 'accelerate', 'ray', 'peft', 'python', 'script'],
  when: ({ run }) => run !== null && hasResult(run) && run.state !== 'imported',
  perform: ({ run }) => downloadElsewhere(run!.id),
};
