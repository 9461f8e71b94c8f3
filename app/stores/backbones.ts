import { create } from 'zustand';
import { persist } from 'zustand/middleware';
import type { HubRequest, StoredBackbone, StudioError } from '../../workers/protocol.ts';
import { asStudioError, engine } from './connection.ts';
import { useData } from './data.ts';
import { note } from './log.ts';
import { setJob, useMachine } from './machine.ts';
import { choose } from './plan.ts';
import { go } from './view.ts';

interface BackbonesState {
  /** What this browser keeps; null until it was asked for. */
  stored: StoredBackbone[] | null;
  loading: boolean;
  error: StudioError | null;
  /** Address of a mirror; empty for the usual hub. It stays between visits, a token never does. */
  mirror: string;
}

export const useBackbones = create<BackbonesState>()(
  persist((): BackbonesState => ({ stored: null, loading: false, error: null, mirror: '' }), {
    name: 'graft-hub',
    version: 1,
    partialize: ({ mirror }) => ({ mirror }),
    merge: (kept, now) => ({ ...now, mirror: mendMirror(kept) }),
  }),
);

function mendMirror(kept: unknown): string {
  const { mirror } = (kept ?? {}) as { mirror?: unknown };
  return typeof mirror === 'string' ? mirror : '';
}

/** Asks what is stored, and what it takes of the storage. */
export async function listStored(): Promise<void> {
  const [stored, storage] = await Promise.all([engine().storedBackbones(), engine().storage()]);
  useBackbones.setState({ stored });
  useMachine.setState(({ machine }) => ({ machine: machine && { ...machine, storage } }));
}

async function listAll(): Promise<void> {
  useMachine.setState({ catalogue: await engine().catalogue() });
  await listStored();
}

/** Loads a model from a hub and chooses it. A failure stands beside the form; what has arrived is kept. */
export async function loadFromHub(request: HubRequest): Promise<void> {
  useBackbones.setState({ loading: true, error: null });
  setJob('hub', {
    phase: 'Asking the hub',
    done: 0,
    total: 1,
    unit: '',
    perSecond: null,
    secondsLeft: null,
  });
  try {
    const card = await engine().loadFromHub(request);
    await listAll();
    const sentence = `Loaded ${card.title}, ${card.family}.`;
    useData.setState({ understood: { kind: 'backbone', sentence, backbone: card } });
    note(sentence, 'info');
    choose({ backbone: card.id });
    go('backbone');
  } catch (thrown) {
    const error = asStudioError(thrown);
    if (error.name !== 'AbortError') {
      useBackbones.setState({ error });
      note(error.message, 'error');
    }
    await listStored();
  } finally {
    useBackbones.setState({ loading: false });
    setJob('hub', null);
  }
}

/** Takes a backbone out of the storage; returns what puts it back, or null for one that was never whole. */
export async function removeBackbone(backbone: StoredBackbone): Promise<(() => Promise<void>) | null> {
  try {
    await engine().removeBackbone(backbone.id);
  } catch (thrown) {
    useBackbones.setState({ error: asStudioError(thrown) });
    return null;
  }
  await listAll();
  const catalogue = useMachine.getState().catalogue;
  if (catalogue && !catalogue.backbones.some(({ id }) => id === backbone.id))
    choose({ backbone: catalogue.defaultBackbone });
  if (backbone.missingBytes > 0) return null;
  return async () => {
    await engine().restoreBackbone(backbone.id);
    await listAll();
  };
}
