import type { RunView } from '../protocol.ts';

/** The runs that wait, in the order in which they begin: by place, then by age. */
export function queueOf(runs: readonly RunView[]): RunView[] {
  return runs
    .filter(({ state }) => state === 'queued')
    .sort((a, b) => (a.place ?? Infinity) - (b.place ?? Infinity) || a.createdAt - b.createdAt);
}

/**
 * The order with `id` before `before`; last where that is null. A run to stand before that waits no more has begun, so
 * `id` is then the next one. An `id` that waits no more changes nothing.
 */
export function moveBefore(ids: readonly string[], id: string, before: string | null): string[] {
  if (!ids.includes(id) || id === before) return [...ids];
  const rest = ids.filter((other) => other !== id);
  const at = before === null ? rest.length : Math.max(0, rest.indexOf(before));
  return [...rest.slice(0, at), id, ...rest.slice(at)];
}
