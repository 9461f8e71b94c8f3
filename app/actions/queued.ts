import type { RunView } from '../../workers/protocol.ts';
import { leaveQueue, queueOf } from '../stores/queue.ts';
import { useRuns } from '../stores/runs.ts';
import { undoable } from './undoable.ts';

/** Says that a run joined the queue, and at which place. */
export function toldQueued(run: RunView | null): void {
  if (!run) return;
  const at = queueOf(useRuns.getState().runs).findIndex((other) => other.id === run.id);
  undoable(`${run.name} waits${at < 0 ? '' : ` as number ${at + 1}`} in the queue`, async () => {
    await leaveQueue(run);
  });
}
