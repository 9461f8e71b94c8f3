import { create } from 'zustand';
import type {
  DatasetEdit,
  DatasetView,
  DroppedFile,
  NeighbourScore,
  StudioError,
  TextColumns,
  Understood,
} from '../../workers/protocol.ts';
import { asStudioError, engine } from './connection.ts';
import { note } from './log.ts';
import { setJob, useMachine } from './machine.ts';
import { choose, chooseDataset } from './plan.ts';
import { takeRun } from './runs.ts';
import { go } from './view.ts';

interface DataState {
  datasets: DatasetView[];
  /** What the last drop was taken for, until it is dismissed. */
  understood: Understood | null;
  error: StudioError | null;
  /** By `neighbourKey`. */
  neighbours: Record<string, NeighbourScore | StudioError>;
}

export const useData = create<DataState>()(() => ({
  datasets: [],
  understood: null,
  error: null,
  neighbours: {},
}));

export const neighbourKey = (dataset: string, hash: string, backbone: string): string =>
  `${dataset}/${hash}/${backbone}`;

export const isScore = (found: NeighbourScore | StudioError | undefined): found is NeighbourScore =>
  found !== undefined && 'accuracy' in found;

/** Puts a data set's newest view in the list, new ones first. */
export function putDataset(dataset: DatasetView): void {
  useData.setState(({ datasets }) => ({
    datasets: datasets.some((d) => d.id === dataset.id)
      ? datasets.map((d) => (d.id === dataset.id ? dataset : d))
      : [dataset, ...datasets].sort((a, b) => b.createdAt - a.createdAt),
  }));
}

async function guarded<T>(work: () => Promise<T>): Promise<T | null> {
  useData.setState({ error: null });
  try {
    return await work();
  } catch (thrown) {
    const error = asStudioError(thrown);
    useData.setState({ error });
    note(error.message, 'error');
    return null;
  }
}

/** Takes a drop of any kind and goes to where it belongs. */
export async function take(files: DroppedFile[]): Promise<void> {
  if (files.length === 0) return;
  setJob('import', {
    phase: 'Reading',
    done: 0,
    total: files.length,
    unit: 'files',
    perSecond: null,
    secondsLeft: null,
  });
  go('data');
  const understood = await guarded(() => engine().take(files));
  setJob('import', null);
  if (!understood) return;
  useData.setState({ understood });
  note(understood.sentence, understood.kind === 'nothing' ? 'warning' : 'info');
  if (understood.kind === 'dataset') openDataset(understood.dataset);
  if (understood.kind === 'adapter') {
    takeRun(understood.run);
    go('result');
  }
  if (understood.kind === 'backbone') {
    const catalogue = await engine().catalogue();
    useMachine.setState({ catalogue });
    choose({ backbone: understood.backbone.id });
    go('backbone');
  }
}

export function openDataset(dataset: DatasetView): void {
  putDataset(dataset);
  chooseDataset(dataset);
}

export async function openSample(id: string): Promise<void> {
  setJob('import', {
    phase: 'Opening the sample',
    done: 0,
    total: 1,
    unit: 'files',
    perSecond: null,
    secondsLeft: null,
  });
  const dataset = await guarded(() => engine().openSample(id));
  setJob('import', null);
  useData.setState({ understood: null });
  if (dataset) openDataset(dataset);
}

export async function edit(id: string, change: DatasetEdit): Promise<void> {
  const dataset = await guarded(() => engine().editDataset(id, change));
  if (dataset) openDataset(dataset);
}

/** Reads a table of texts by other columns; the new data set takes the place of the one there. */
export async function chooseColumns(id: string, columns: TextColumns): Promise<void> {
  setJob('import', {
    phase: 'Reading texts',
    done: 0,
    total: 1,
    unit: 'files',
    perSecond: null,
    secondsLeft: null,
  });
  const dataset = await guarded(() => engine().chooseColumns(id, columns));
  setJob('import', null);
  if (!dataset) return;
  if (dataset.id !== id)
    useData.setState(({ datasets }) => ({ datasets: datasets.filter((d) => d.id !== id) }));
  openDataset(dataset);
}

export async function undoEdit(id: string): Promise<void> {
  const dataset = await guarded(() => engine().undoDatasetEdit(id));
  if (dataset) openDataset(dataset);
}

export async function addSample(
  id: string | null,
  className: string,
  sample: Blob,
): Promise<DatasetView | null> {
  const dataset = await guarded(() => engine().addSample(id, className, sample));
  if (dataset) openDataset(dataset);
  return dataset;
}

/** Adds what the microphone heard, as `addSample`. */
export async function addSound(
  id: string | null,
  className: string,
  samples: Float32Array,
  rate: number,
): Promise<DatasetView | null> {
  const dataset = await guarded(() => engine().addSound(id, className, samples, rate));
  if (dataset) openDataset(dataset);
  return dataset;
}

/** Removes a data set; returns what puts it back. */
export async function removeDataset(id: string): Promise<(() => Promise<void>) | null> {
  const done = await guarded(async () => {
    await engine().removeDataset(id);
    return true;
  });
  if (!done) return null;
  const left = useData.getState().datasets.filter((d) => d.id !== id);
  useData.setState({ datasets: left, understood: null });
  if (left[0]) chooseDataset(left[0]);
  else choose({ dataset: null });
  return async () => {
    const dataset = await guarded(() => engine().restoreDataset(id));
    if (dataset) openDataset(dataset);
  };
}

export async function scoreNeighbours(
  dataset: DatasetView,
  backbone: string,
  imageSize: number,
): Promise<void> {
  const key = neighbourKey(dataset.id, dataset.hash, backbone);
  const { jobs } = useMachine.getState();
  if (jobs['neighbours'] || isScore(useData.getState().neighbours[key])) return;
  setJob('neighbours', {
    phase: 'Computing frozen features',
    done: 0,
    total: dataset.counts.train + dataset.counts.val + dataset.counts.test,
    unit: 'images',
    perSecond: null,
    secondsLeft: null,
  });
  let found: NeighbourScore | StudioError;
  try {
    found = await engine().neighbours(dataset.id, backbone, imageSize);
  } catch (thrown) {
    found = asStudioError(thrown);
  }
  setJob('neighbours', null);
  useData.setState(({ neighbours }) => ({ neighbours: { ...neighbours, [key]: found } }));
}

export function putNeighbours(score: NeighbourScore): void {
  const dataset = useData.getState().datasets.find((d) => d.id === score.dataset);
  if (!dataset) return;
  const key = neighbourKey(score.dataset, dataset.hash, score.backbone);
  useData.setState(({ neighbours }) => ({ neighbours: { ...neighbours, [key]: score } }));
}

/** Whether the samples are told apart; texts may teach to write or to fill gaps instead. */
export const learnsClasses = ({ table }: Pick<DatasetView, 'table'>): boolean =>
  (table?.chosen.task ?? 'classification') === 'classification';
