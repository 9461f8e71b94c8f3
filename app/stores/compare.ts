import { create } from 'zustand';
import { persist } from 'zustand/middleware';
import type { RunView } from '../../workers/protocol.ts';
import { type FigureKey, figures } from '../panels/compare/figures.ts';
import type { Sort } from '../panels/compare/tables.ts';
import { hasResult } from './runs.ts';
import { showPanel } from './view.ts';

interface CompareState {
  /** Runs chosen by hand; null for all that can be compared with the one on the stage. */
  picked: string[] | null;
  sort: Sort | null;
  x: FigureKey;
  y: FigureKey;
  curve: 'accuracy' | 'loss';
}

export const useCompare = create<CompareState>()(
  persist((): CompareState => ({ picked: null, sort: null, x: 'parameters', y: 'test', curve: 'accuracy' }), {
    name: 'graft-compare',
    version: 1,
    migrate: (stored) => mendCompare(stored) as CompareState,
    merge: (stored, now) => ({ ...now, ...mendCompare(stored) }),
  }),
);

/** Keeps what is well formed of a stored comparison. */
export function mendCompare(stored: unknown): Partial<CompareState> {
  if (typeof stored !== 'object' || stored === null) return {};
  const { picked, sort, x, y, curve } = stored as Record<string, unknown>;
  const key = (value: unknown) => figures.find((f) => f.key === value)?.key;
  const kept: Partial<CompareState> = {};
  if (Array.isArray(picked) && picked.every((id) => typeof id === 'string')) kept.picked = picked;
  const { key: column, down } = (sort ?? {}) as Record<string, unknown>;
  if (typeof column === 'string' && typeof down === 'boolean') kept.sort = { key: column, down };
  const [across, up] = [key(x), key(y)];
  if (across) kept.x = across;
  if (up) kept.y = up;
  if (curve === 'loss' || curve === 'accuracy') kept.curve = curve;
  return kept;
}

/** Trained to an end here. */
export const isFinished = (run: RunView): boolean => hasResult(run) && run.state !== 'imported';

/** Whether two runs learnt from the same pictures, labels and split on the same backbone. */
export const alike = (a: RunView, b: RunView): boolean =>
  a.dataHash !== null && a.dataHash === b.dataHash && a.plan.backbone === b.plan.backbone;

/**
 * The runs to compare, oldest first: those picked, else all finished ones on the data and backbone of the run on the
 * stage, or of the newest finished run where that one has not ended.
 */
export function chosenRuns(
  runs: readonly RunView[],
  selected: string | null,
  picked: readonly string[] | null,
): RunView[] {
  const oldest = [...runs].sort((a, b) => a.createdAt - b.createdAt);
  if (picked) return oldest.filter((run) => picked.includes(run.id));
  const finished = oldest.filter(isFinished);
  const about = finished.find((run) => run.id === selected) ?? finished.at(-1);
  return about ? finished.filter((run) => alike(run, about)) : [];
}

/** Takes a run into the comparison or out of it. */
export function pick(id: string, chosen: readonly RunView[]): void {
  const ids = chosen.map((run) => run.id);
  useCompare.setState({ picked: ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id] });
}

/** Sorts by a column; again, the other way; a third time, not at all. */
export function sortBy(key: string, first: boolean): void {
  useCompare.setState(({ sort }) => {
    if (sort?.key !== key) return { sort: { key, down: first } };
    return { sort: sort.down === first ? { key, down: !first } : null };
  });
}

/** Brings the comparison into sight: its panel, or the sheet of panels on narrow screens. */
export function showComparison(): void {
  showPanel('compare');
}
