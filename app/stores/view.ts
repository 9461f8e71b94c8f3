import { create } from 'zustand';
import { persist } from 'zustand/middleware';

export const STEPS = ['data', 'backbone', 'method', 'train', 'result'] as const;
export type Step = (typeof STEPS)[number];
/** Where the stage is: a step, or the page about this machine. */
export type Place = Step | 'machine';
export type Theme = 'system' | 'light' | 'dark';
export type Sheet = 'library' | 'knobs' | 'panels' | null;

interface ViewState {
  place: Place;
  theme: Theme;
  dockOpen: boolean;
  dockTab: string;
  foldOpen: boolean;
  sheet: Sheet;
  palette: boolean;
  keys: boolean;
  filter: string;
}

interface Kept {
  theme: Theme;
  dockOpen: boolean;
  dockTab: string;
  foldOpen: boolean;
}

export const useView = create<ViewState>()(
  persist(
    (): ViewState => ({
      place: 'data',
      theme: 'system',
      dockOpen: false,
      dockTab: 'rank',
      foldOpen: false,
      sheet: null,
      palette: false,
      keys: false,
      filter: '',
    }),
    {
      name: 'graft-view',
      version: 1,
      partialize: ({ theme, dockOpen, dockTab, foldOpen }): Kept => ({ theme, dockOpen, dockTab, foldOpen }),
      migrate: (stored) => mendView(stored) as ViewState,
      merge: (stored, now) => ({ ...now, ...mendView(stored) }),
    },
  ),
);

/** What was kept, with anything unknown or malformed left out, so an older page's record never breaks this one. */
export function mendView(stored: unknown): Partial<Kept> {
  const kept: Partial<Kept> = {};
  if (typeof stored !== 'object' || stored === null) return kept;
  const from = stored as Record<string, unknown>;
  if (from['theme'] === 'light' || from['theme'] === 'dark' || from['theme'] === 'system')
    kept.theme = from['theme'];
  if (typeof from['dockOpen'] === 'boolean') kept.dockOpen = from['dockOpen'];
  if (typeof from['foldOpen'] === 'boolean') kept.foldOpen = from['foldOpen'];
  if (typeof from['dockTab'] === 'string') kept.dockTab = from['dockTab'];
  return kept;
}

export function go(place: Place): void {
  useView.setState({ place, sheet: null });
}

/** Brings a panel into sight, or the sheet of panels on narrow screens. */
export function showPanel(id: string): void {
  const narrow = !window.matchMedia('(min-width: 900px)').matches;
  useView.setState({ dockTab: id, dockOpen: true, sheet: narrow ? 'panels' : null });
}

export function setTheme(theme: Theme): void {
  useView.setState({ theme });
}

/** Puts the picked theme on the document; `system` removes it so that the media query decides. */
export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
}
