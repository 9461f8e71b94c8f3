import type { RunView } from '../../workers/protocol.ts';
import { engine } from './connection.ts';
import { command, putRun, remove, useRuns } from './runs.ts';

/** The runs that wait, the next one first. */
export function queueOf(runs: readonly RunView[]): RunView[] {
  return runs
    .filter((run) => run.state === 'queued')
    .sort((a, b) => (a.place ?? Infinity) - (b.place ?? Infinity) || a.createdAt - b.createdAt);
}

/** Puts a waiting run before another one, or last; shown at once, kept by the engine. */
export async function moveQueued(id: string, before: string | null): Promise<void> {
  const queue = queueOf(useRuns.getState().runs);
  const moved = queue.find((run) => run.id === id);
  if (!moved || id === before) return;
  const rest = queue.filter((run) => run.id !== id);
  const at = before === null ? rest.length : rest.findIndex((run) => run.id === before);
  rest.splice(Math.max(0, at), 0, moved);
  rest.forEach((run, place) => {
    putRun({ ...run, place });
  });
  await command(id, () => engine().moveQueued(id, before));
}

/** Moves a waiting run up or down by one. */
export async function nudgeQueued(id: string, way: -1 | 1): Promise<void> {
  const ids = queueOf(useRuns.getState().runs).map((run) => run.id);
  const at = ids.indexOf(id);
  if (at < 0 || at + way < 0 || at + way >= ids.length) return;
  await moveQueued(id, ids[way < 0 ? at - 1 : at + 2] ?? null);
}

/**
 * Takes a run out of the queue: one that never began goes, and what brings it back is returned; one that was resumed
 * rests where it was.
 */
export async function leaveQueue(run: RunView): Promise<(() => Promise<void>) | null> {
  if (!run.latest) return remove(run.id);
  await command(run.id, () => engine().pause(run.id));
  return null;
}

/** Lets the queue begin its runs, or holds it. */
export const moveQueue = (moves: boolean): Promise<void> => command('', () => engine().moveQueue(moves));
