import type { StoredEdit } from '../datasets/record.ts';
import type { RunFigures, RunState, RunView, StudioError } from '../protocol.ts';
import type { RunReport } from '../session/report.ts';

/** A run as it is stored: what the page lists, and what Resume goes on from. Its checkpoints lie in files. */
export interface RunRecord {
  readonly version: 2;
  readonly id: string;
  readonly view: RunView;
  /** Edits of its data set when it began: the pictures, labels and split it goes on with. */
  readonly edits: readonly StoredEdit[];
  /** Hash of that data; resuming on anything else is refused. */
  readonly datasetHash: string | null;
  /** SHA-256 (or its start) of the backbone's weights. */
  readonly backboneHash: string;
  /** Counts up each time it is started or resumed; events of an earlier life are told by it. */
  readonly epoch: number;
  /** Scores of the weights that `report.step` had. */
  readonly report: (RunReport & { readonly step: number }) | null;
  readonly removedAt: number | null;
}

/** What is known of a run that was made before figures were kept, or elsewhere. */
export const noFigures: RunFigures = {
  trainableParameters: null,
  peakBytes: null,
  fileBytes: null,
  stepMs: null,
  extraUse: null,
};

/** A record as it was stored, by an earlier page perhaps, in today's shape. */
export function upgraded(stored: RunRecord | (Omit<RunRecord, 'version'> & { version: 1 })): RunRecord {
  if (stored.version === 2) return stored;
  return {
    ...stored,
    version: 2,
    view: { ...stored.view, dataHash: stored.datasetHash, figures: noFigures },
  };
}

/** Something to know that stopped nothing. */
export const noticeOf = (message: string): StudioError => ({ name: 'Notice', message });

/** States in which a run holds the GPU or waits for it. */
export const active: readonly RunState[] = ['queued', 'preparing', 'running'];

export const isActive = (state: RunState): boolean => active.includes(state);

/** Whether it holds the GPU. */
export const isMoving = (state: RunState): boolean => state === 'preparing' || state === 'running';

/** What may follow what. A state is only ever left for one of its list. */
const next: Record<RunState, readonly RunState[]> = {
  queued: ['preparing', 'paused', 'stopped', 'interrupted', 'failed'],
  preparing: ['running', 'paused', 'stopped', 'interrupted', 'failed'],
  running: ['preparing', 'paused', 'stopped', 'interrupted', 'failed', 'done'],
  paused: ['queued', 'stopped', 'interrupted'],
  stopped: ['queued'],
  interrupted: ['queued', 'stopped'],
  failed: ['queued', 'stopped'],
  done: [],
  imported: [],
};

/** A run that cannot do what it is asked to in its state. */
export class RunStateError extends Error {
  override name = 'RunStateError';
}

const words: Record<RunState, string> = {
  queued: 'waiting for its turn',
  preparing: 'being prepared',
  running: 'training',
  paused: 'paused',
  stopped: 'stopped',
  interrupted: 'interrupted',
  failed: 'failed',
  done: 'finished',
  imported: 'an adapter made elsewhere',
};

/** The view in a new state. Throws `RunStateError` where that is no way it can go. */
export function moved(view: RunView, state: RunState): RunView {
  if (view.state === state) return view;
  if (!next[view.state].includes(state))
    throw new RunStateError(`"${view.name}" is ${words[view.state]}, so it cannot become ${words[state]}.`);
  const { error: _, place: __, ...rest } = view;
  return { ...rest, state };
}
