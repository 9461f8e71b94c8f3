import { downloadOnnx } from '../steps/result/download.ts';
import { hasResult } from '../stores/runs.ts';
import type { Action } from './types.ts';

export const action: Action = {
  id: 'download-onnx',
  group: 'Result',
  name: 'Download merged ONNX',
  keywords: ['export', 'save', 'model', 'onnx', 'merge'],
  when: ({ run }) => run !== null && hasResult(run),
  perform: ({ run }) => downloadOnnx(run!.id),
};
