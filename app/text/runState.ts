import type { RunState } from '../../workers/protocol.ts';

const WORDS: Record<RunState, string> = {
  queued: 'Queued',
  preparing: 'Preparing',
  running: 'Training',
  paused: 'Paused',
  stopped: 'Stopped',
  interrupted: 'Interrupted',
  failed: 'Failed',
  done: 'Done',
  imported: 'Imported',
};

export const stateWord = (state: RunState): string => WORDS[state];
