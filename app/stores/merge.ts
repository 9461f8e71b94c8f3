import { create } from 'zustand';
import type { MergePart, MergePreview, RunView, StudioError } from '../../workers/protocol.ts';
import { save } from '../parts/save.ts';
import { asStudioError, engine } from './connection.ts';
import { note } from './log.ts';
import { hasResult, useRuns } from './runs.ts';
import { showPanel } from './view.ts';

export type MergeFile = 'adapter' | 'model' | 'onnx';

interface MergeState {
  /** The adapters that are added, in the order in which they were chosen. */
  parts: MergePart[];
  /** Rank that a sum of low rank is cut to; null for all of it. */
  rank: number | null;
  /** Rank of the whole sum, as the last answer without a cut had it. */
  whole: number | null;
  found: MergePreview | null;
  busy: boolean;
  /** What is being written. */
  writing: MergeFile | null;
  error: StudioError | null;
}

export const useMerge = create<MergeState>()(() => ({
  parts: [],
  rank: null,
  whole: null,
  found: null,
  busy: false,
  writing: null,
  error: null,
}));

/** Runs whose adapters may be added to those chosen: of their backbone, and trained. */
export function mergeable(runs: readonly RunView[], parts: readonly MergePart[]): RunView[] {
  const first = runs.find((run) => run.id === parts[0]?.run);
  return runs.filter(
    (run) =>
      hasResult(run) &&
      !parts.some((p) => p.run === run.id) &&
      (!first || run.plan.backbone === first.plan.backbone),
  );
}

/** Shares for so many adapters: they add up to one, which keeps the size of an update. */
const evenly = (ids: readonly string[]): MergePart[] =>
  ids.map((run) => ({ run, weight: Number((1 / ids.length).toFixed(2)) }));

/** Adds up these runs, each with the same share. */
export function mergeRuns(ids: readonly string[]): void {
  useMerge.setState({ parts: evenly(ids), rank: null, found: null, error: null });
  void refreshMerge();
}

export const addPart = (run: string): void =>
  mergeRuns([...useMerge.getState().parts.map((p) => p.run), run]);

export const leavePart = (run: string): void =>
  mergeRuns(useMerge.getState().parts.flatMap((p) => (p.run === run ? [] : [p.run])));

export function weigh(run: string, weight: number): void {
  useMerge.setState(({ parts }) => ({ parts: parts.map((p) => (p.run === run ? { run, weight } : p)) }));
  void refreshMerge();
}

export function cutMerge(rank: number | null): void {
  useMerge.setState({ rank });
  void refreshMerge();
}

/** Asks what the sum is; only the newest wish is answered. */
export async function refreshMerge(): Promise<void> {
  if (useMerge.getState().busy || useMerge.getState().parts.length < 2) return;
  useMerge.setState({ busy: true, error: null });
  try {
    let asked: Pick<MergeState, 'parts' | 'rank'>;
    do {
      asked = useMerge.getState();
      if (asked.parts.length < 2) break;
      const found = await engine().previewMerge(asked.parts, asked.rank);
      useMerge.setState({ found, ...(asked.rank === null ? { whole: found.width } : {}) });
    } while (asked.parts !== useMerge.getState().parts || asked.rank !== useMerge.getState().rank);
  } catch (error) {
    useMerge.setState({ error: asStudioError(error), found: null });
  } finally {
    useMerge.setState({ busy: false });
  }
}

/** Writes the sum and hands it to the browser. */
export async function downloadMerge(as: MergeFile): Promise<void> {
  const { parts, rank, writing } = useMerge.getState();
  if (writing) return;
  useMerge.setState({ writing: as, error: null });
  try {
    const { name, file } = await engine().exportMerge(parts, { as, rank });
    save(name, file);
    note(`Saved ${name}`, 'info');
  } catch (error) {
    useMerge.setState({ error: asStudioError(error) });
  } finally {
    useMerge.setState({ writing: null });
  }
}

/** Brings the panel into sight, with these runs where any are given. */
export function showMerge(runs: readonly RunView[] = []): void {
  showPanel('merge');
  const taken = runs.filter(hasResult).slice(0, 8);
  if (taken.length > 1) mergeRuns(taken.map((run) => run.id));
}

/** Leaves out runs that are gone. */
export function tidyMerge(): void {
  const { runs } = useRuns.getState();
  const { parts } = useMerge.getState();
  const there = parts.filter((p) => runs.some((run) => run.id === p.run));
  if (there.length !== parts.length) mergeRuns(there.map((p) => p.run));
}
