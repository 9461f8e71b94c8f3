/**
 * Panels. Each is a folder with a component, listed here with the channels it draws; a run whose method fills none of
 * them leaves the panel's tab in place and its reason in words.
 */
import type { ComponentType } from 'react';
import { ComparePanel } from './compare/ComparePanel.tsx';
import { LogPanel } from './log/LogPanel.tsx';
import { MergePanel } from './merge/MergePanel.tsx';
import { ProfilePanel } from './profile/ProfilePanel.tsx';
import { RankPanel } from './rank/RankPanel.tsx';
import { SparsityPanel } from './sparsity/SparsityPanel.tsx';

export interface Panel {
  id: string;
  title: string;
  /** Drawn from these channels of the run's method; empty for panels that need none. */
  channels: string[];
  View: ComponentType;
}

export const panels: Panel[] = [
  { id: 'rank', title: 'Rank', channels: ['spectrum'], View: RankPanel },
  { id: 'sparsity', title: 'Sparsity', channels: ['mask'], View: SparsityPanel },
  { id: 'compare', title: 'Compare', channels: [], View: ComparePanel },
  { id: 'merge', title: 'Merge', channels: [], View: MergePanel },
  { id: 'profile', title: 'Profile', channels: [], View: ProfilePanel },
  { id: 'log', title: 'Log', channels: [], View: LogPanel },
];
