import { downloadAdapter } from '../steps/result/download.ts';
import { hasResult } from '../stores/runs.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'download',
  group: 'Result',
  name: 'Download the adapter',
  keywords: ['export', 'save', 'zip', 'safetensors', 'peft'],
  key: { key: 's', mod: true },
  when: ({ run }) => run !== null && hasResult(run),
  perform: ({ run }) => downloadAdapter(run!.id),
};
