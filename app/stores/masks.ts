import { create } from 'zustand';
import type { MaskEdit, MaskRenewal, MaskView, Score, StudioError } from '../../workers/protocol.ts';
import { asStudioError, engine } from './connection.ts';

/** The masks of a run as they are known here. */
export interface Masks {
  views: MaskView[] | null;
  /** What the last edit did to the score. */
  cost: { before: Score; after: Score } | null;
  error: StudioError | null;
  busy: boolean;
}

interface MasksState {
  masks: Record<string, Masks>;
  /** The module whose mask is open, and the run whose masks are laid over. */
  module: string | null;
  other: string | null;
}

export const useMasks = create<MasksState>()(() => ({ masks: {}, module: null, other: null }));

const fresh: Masks = { views: null, cost: null, error: null, busy: false };

export const masksOf = (run: string | null, state: MasksState): Masks =>
  (run === null ? undefined : state.masks[run]) ?? fresh;

function change(run: string, news: Partial<Masks>): void {
  useMasks.setState((s) => ({ masks: { ...s.masks, [run]: { ...masksOf(run, s), ...news } } }));
}

async function ask(run: string, found: () => Promise<Partial<Masks>>): Promise<void> {
  change(run, { busy: true, error: null });
  try {
    change(run, await found());
  } catch (error) {
    change(run, { error: asStudioError(error) });
  } finally {
    change(run, { busy: false });
  }
}

export const loadMasks = (run: string): Promise<void> =>
  ask(run, async () => ({ views: await engine().masks(run) }));

export const editMask = (run: string, edit: MaskEdit): Promise<void> =>
  ask(run, async () => {
    const { masks, before, after } = await engine().editMask(run, edit);
    return { views: masks, cost: before && after ? { before, after } : null };
  });

export const renewMasks = (run: string, renewal: MaskRenewal): Promise<void> =>
  ask(run, async () => {
    const { masks, before, after } = await engine().renewMasks(run, renewal);
    return { views: masks, cost: before && after ? { before, after } : null };
  });

export const openModule = (module: string): void => useMasks.setState({ module });
export const layOver = (other: string | null): void => useMasks.setState({ other });
