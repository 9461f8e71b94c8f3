import type { Studio, StudioEvent } from '../../workers/protocol.ts';
import { asStudioError, connect } from './connection.ts';
import { putDataset, putNeighbours, useData } from './data.ts';
import { note } from './log.ts';
import { setJob, trains, useMachine } from './machine.ts';
import { settle } from './plan.ts';
import { rememberSpectra } from './ranks.ts';
import { addPoints, isActive, isMoving, progressOfRun, putRun, select, useRuns } from './runs.ts';
import { putWritten } from './writing.ts';

/** Where each event of the engine goes. */
export function receive(event: StudioEvent): void {
  switch (event.kind) {
    case 'progress':
      if (!progressOfRun(event.job, event.progress))
        setJob(event.job, event.progress.done < event.progress.total ? event.progress : null);
      return;
    case 'run':
      putRun(event.run);
      return;
    case 'points':
      addPoints(event.run, event.epoch, event.steps, event.evals);
      return;
    case 'spectra':
      rememberSpectra(event.run, event.step, event.spectra);
      useRuns.setState(({ spectra }) => ({
        spectra: { ...spectra, [event.run]: { step: event.step, spectra: event.spectra } },
      }));
      return;
    case 'queue':
      useRuns.setState({ queueMoves: event.moves });
      return;
    case 'written':
      putWritten(event.run, event.written);
      return;
    case 'neighbours':
      putNeighbours(event.score);
      return;
    case 'dataset':
      putDataset(event.dataset);
      return;
    case 'device-lost':
      note(event.error.message, event.recovered ? 'warning' : 'error');
      useMachine.setState({ lost: { error: event.error, recovered: event.recovered } });
      return;
    case 'notice':
      note(event.error.message, 'warning');
      useMachine.setState({ notice: event.error });
      return;
  }
}

/** Opens the engine and fills the stores. A failure stands on the page with what to do; it does not throw. */
export async function open(studio: Studio, listen: (event: StudioEvent) => void = receive): Promise<void> {
  connect(studio);
  try {
    const machine = await studio.open(listen);
    const [catalogue, datasets, runs] = await Promise.all([
      studio.catalogue(),
      studio.datasets(),
      studio.runs(),
    ]);
    useMachine.setState({ machine, catalogue, status: 'ready' });
    // What was dropped while the engine opened may be newer than its answer.
    for (const dataset of datasets)
      if (!useData.getState().datasets.some((d) => d.id === dataset.id)) putDataset(dataset);
    useRuns.setState({ runs: [...runs].sort((a, b) => b.createdAt - a.createdAt) });
    const shown = runs.find(isMoving) ?? runs.find(isActive) ?? useRuns.getState().runs[0];
    if (shown) select(shown.id);
    settle(catalogue, useData.getState().datasets, (method) => trains(machine, method));
  } catch (thrown) {
    useMachine.setState({ status: 'failed', error: asStudioError(thrown) });
  }
}
