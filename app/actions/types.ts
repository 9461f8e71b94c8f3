import type { DatasetView, Machine, RunView } from '../../workers/protocol.ts';
import type { Place } from '../stores/view.ts';

/** What a command may look at to know whether it applies. */
export interface Situation {
  machine: Machine | null;
  ready: boolean;
  place: Place;
  dataset: DatasetView | null;
  run: RunView | null;
  /** Whether a plan is whole and may be trained on this machine. */
  trainable: boolean;
  sample: string | null;
}

/** A key press: `mod` is Command on Apple machines, Control elsewhere. */
export interface Key {
  key: string;
  mod?: boolean;
  shift?: boolean;
}

/** One command. Its button, menu entry, shortcut and palette line all come from here. */
export interface Action {
  id: string;
  group: 'Go' | 'Data' | 'Run' | 'Result' | 'View';
  name: string | ((situation: Situation) => string);
  keywords: string[];
  key?: Key;
  /** Applies now. Left out: always. */
  when?: (situation: Situation) => boolean;
  perform: (situation: Situation) => void | Promise<void>;
}
