import { create } from 'zustand';
import type { RankCut, Spectrum, StudioError } from '../../workers/protocol.ts';
import { asStudioError, engine } from './connection.ts';

/** What a person wants to see of a run cut to lower ranks, and what came of it. */
export interface Cutting {
  /** Rank by module path; a module that is not named keeps its own. */
  ranks: Record<string, number>;
  found: RankCut | null;
  error: StudioError | null;
  busy: boolean;
  /** The same cut for every module, from rank 1 up, as far as it was asked for. */
  curve: RankCut[];
}

interface RanksState {
  cuttings: Record<string, Cutting>;
  /** Spectra seen while a run trained, oldest first. */
  history: Record<string, { step: number; spectra: Spectrum[] }[]>;
}

export const useRanks = create<RanksState>()(() => ({ cuttings: {}, history: {} }));

const fresh: Cutting = { ranks: {}, found: null, error: null, busy: false, curve: [] };

export const cuttingOf = (run: string, state: RanksState): Cutting => state.cuttings[run] ?? fresh;

function change(run: string, news: Partial<Cutting>): void {
  useRanks.setState((s) => ({ cuttings: { ...s.cuttings, [run]: { ...cuttingOf(run, s), ...news } } }));
}

/** Moments of a spectrum that are kept for the time slider. */
const MOMENTS = 200;

export function rememberSpectra(run: string, step: number, spectra: Spectrum[]): void {
  useRanks.setState(({ history }) => {
    const seen = (history[run] ?? []).filter((h) => h.step < step);
    return { history: { ...history, [run]: [...seen, { step, spectra }].slice(-MOMENTS) } };
  });
}

/** Cuts modules to ranks and asks what that would do; only the newest wish of a run is answered. */
export async function cutTo(run: string, ranks: Record<string, number>): Promise<void> {
  change(run, { ranks, error: null });
  if (cuttingOf(run, useRanks.getState()).busy) return;
  change(run, { busy: true });
  try {
    let asked: Record<string, number>;
    do {
      asked = cuttingOf(run, useRanks.getState()).ranks;
      const found = Object.keys(asked).length ? await engine().cutRanks(run, asked) : null;
      change(run, { found });
    } while (asked !== cuttingOf(run, useRanks.getState()).ranks);
  } catch (error) {
    change(run, { error: asStudioError(error), found: null });
  } finally {
    change(run, { busy: false });
  }
}

/** Asks for accuracy and size at every rank up to `width`, all modules alike, one after another. */
export async function measureCurve(run: string, paths: readonly string[], width: number): Promise<void> {
  if (cuttingOf(run, useRanks.getState()).busy) return;
  change(run, { busy: true, error: null, curve: [] });
  try {
    for (const rank of ranksUpTo(width)) {
      const cut = await engine().cutRanks(run, Object.fromEntries(paths.map((path) => [path, rank])));
      change(run, { curve: [...cuttingOf(run, useRanks.getState()).curve, cut] });
    }
  } catch (error) {
    change(run, { error: asStudioError(error) });
  } finally {
    change(run, { busy: false });
  }
}

/** Every rank while there are few; then about eight to each doubling. */
export function ranksUpTo(width: number): number[] {
  const ranks: number[] = [];
  for (let rank = 1; rank <= width; rank = Math.max(rank + 1, Math.round(rank * 1.09))) ranks.push(rank);
  if (ranks.at(-1) !== width) ranks.push(width);
  return ranks;
}
