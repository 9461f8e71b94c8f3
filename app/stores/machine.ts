import { create } from 'zustand';
import type { Catalogue, Machine, Progress, StudioError } from '../../workers/protocol.ts';

interface MachineState {
  status: 'opening' | 'ready' | 'failed';
  machine: Machine | null;
  catalogue: Catalogue | null;
  error: StudioError | null;
  /** Jobs under way that belong to no run: `import`, `neighbours`, `check`. */
  jobs: Record<string, Progress>;
  lost: { error: StudioError; recovered: boolean } | null;
  /** The engine's last warning that belongs to no run and no command, until it is dismissed. */
  notice: StudioError | null;
  offlineReady: boolean;
}

export const useMachine = create<MachineState>()(() => ({
  status: 'opening',
  machine: null,
  catalogue: null,
  error: null,
  jobs: {},
  lost: null,
  notice: null,
  offlineReady: false,
}));

export function setJob(job: string, progress: Progress | null): void {
  useMachine.setState(({ jobs }) => {
    const { [job]: _, ...rest } = jobs;
    return { jobs: progress ? { ...rest, [job]: progress } : rest };
  });
}

/** A run of `method` cannot train where only the probe can. */
export const trains = (machine: Machine | null, method: string): boolean =>
  machine?.backend !== 'wasm' || isProbe(method);

export const isProbe = (method: string): boolean => /probe/.test(method);
