import { create } from 'zustand';
import type { Modality } from '../../models/describe.ts';
import type {
  Profile,
  ReferenceCheck,
  Report,
  RunView,
  Spectrum,
  StudioError,
} from '../../workers/protocol.ts';
import { asStudioError, engine } from './connection.ts';
import { append, emptyCurves, type LiveCurves } from './curves.ts';
import { note } from './log.ts';
import { useMachine } from './machine.ts';
import { backboneOf, planOf, usePlan } from './plan.ts';
import { go } from './view.ts';

interface RunsState {
  runs: RunView[];
  selected: string | null;
  /** Counts up when a run's curves changed; the points themselves lie in `curvesOf`. */
  ticks: Record<string, number>;
  reports: Record<string, Report | StudioError>;
  spectra: Record<string, { step: number; spectra: Spectrum[] }>;
  checks: Record<string, ReferenceCheck | StudioError | 'running'>;
  profiles: Record<string, Profile | StudioError | 'running'>;
  /** What the last command on a run answered, by run id; `''` for one that could not start. */
  errors: Record<string, StudioError>;
  starting: boolean;
  /** Whether the first run of the queue begins once nothing trains. */
  queueMoves: boolean;
}

export const useRuns = create<RunsState>()(() => ({
  runs: [],
  selected: null,
  ticks: {},
  reports: {},
  spectra: {},
  checks: {},
  profiles: {},
  errors: {},
  starting: false,
  queueMoves: false,
}));

/** What a run's samples are, by the backbone that reads them. */
export const useKind = (run: RunView): Modality =>
  useMachine((s) => backboneOf(s.catalogue, run.plan.backbone)?.modality) ?? 'image';

const curves = new Map<string, LiveCurves>();

export function curvesOf(run: string): LiveCurves {
  let found = curves.get(run);
  if (!found) {
    found = emptyCurves();
    curves.set(run, found);
  }
  return found;
}

export const ACTIVE: readonly RunView['state'][] = ['queued', 'preparing', 'running', 'paused'];
export const isActive = (run: RunView): boolean => ACTIVE.includes(run.state);
export const isMoving = (run: RunView): boolean => run.state === 'running' || run.state === 'preparing';
export const canResume = (run: RunView): boolean =>
  run.state === 'paused' || run.state === 'interrupted' || run.state === 'stopped';
/** There is an adapter to look at, try and download. */
export const hasResult = (run: RunView): boolean =>
  run.state === 'done' || run.state === 'imported' || (run.state === 'stopped' && run.best !== undefined);

export const selectedRun = (state: RunsState): RunView | null =>
  state.runs.find((run) => run.id === state.selected) ?? null;

export function putRun(news: RunView): void {
  const before = useRuns.getState().runs.find((r) => r.id === news.id);
  // A plan never changes; keeping the first copy lets what is drawn from it stand still ten times a second.
  const run = before ? { ...news, plan: before.plan, classes: before.classes } : news;
  useRuns.setState(({ runs }) => ({
    runs: before
      ? runs.map((r) => (r.id === run.id ? run : r))
      : [run, ...runs].sort((a, b) => b.createdAt - a.createdAt),
  }));
  if (before?.state === run.state) return;
  if (run.state === 'failed' && run.error) note(run.error.message, 'error', run.id);
  else note(`${run.name}: ${run.state}`, 'info', run.id);
  if (hasResult(run)) void loadResult(run.id);
}

export function takeRun(run: RunView): void {
  putRun(run);
  select(run.id);
}

export function select(id: string | null): void {
  useRuns.setState({ selected: id });
  const run = selectedRun(useRuns.getState());
  if (!run) return;
  needCurves(run);
  if (hasResult(run)) void loadResult(run.id);
}

function fail(id: string, thrown: unknown): void {
  const error = asStudioError(thrown);
  useRuns.setState(({ errors }) => ({ errors: { ...errors, [id]: error } }));
  note(error.message, 'error', id || undefined);
}

export function clearError(id: string): void {
  useRuns.setState(({ errors: { [id]: _, ...errors } }) => ({ errors }));
}

export const command = async (id: string, work: () => Promise<void>): Promise<void> => {
  clearError(id);
  try {
    await work();
  } catch (thrown) {
    fail(id, thrown);
  }
};

/**
 * Makes a run from the plan as it stands. It begins and is shown; while another trains, or if it is to `wait`, it
 * joins the queue, and the stage stays as it is. Returns the run where it joined the queue.
 */
export async function train({ wait } = { wait: false }): Promise<RunView | null> {
  const plan = planOf(usePlan.getState());
  const { starting, runs } = useRuns.getState();
  if (!plan || starting) return null;
  useRuns.setState({ starting: true });
  let queued: RunView | null = null;
  await command('', async () => {
    const run = await engine().createRun(plan, { wait });
    if (wait || runs.some(isMoving)) {
      queued = run;
      putRun(run);
      return;
    }
    takeRun(run);
    go('train');
  });
  useRuns.setState({ starting: false });
  // From the first run on there is something to lose. A browser may decline; the machine page shows what it said.
  void globalThis.navigator?.storage?.persist?.().catch(() => undefined);
  return queued;
}

export const pause = (id: string) => command(id, () => engine().pause(id));
export const resume = (id: string) => command(id, () => engine().resume(id));
export const stop = (id: string) => command(id, () => engine().stop(id));

export const turnLive = (id: string, knob: string, value: number) =>
  command(id, async () => {
    await engine().turn(id, knob, value);
    const known = curvesOf(id);
    known.journal.push({ step: known.steps.at(-1)?.step ?? 0, knob, value });
    tick(id);
    note(`${knob} set to ${value}`, 'info', id);
  });

export const rename = (id: string, name: string) =>
  command(id, async () => putRun(await engine().renameRun(id, name)));

/** Removes a run; returns what puts it back. */
export async function remove(id: string): Promise<(() => Promise<void>) | null> {
  try {
    await engine().removeRun(id);
  } catch (thrown) {
    fail(id, thrown);
    return null;
  }
  const { runs, selected } = useRuns.getState();
  const left = runs.filter((r) => r.id !== id);
  useRuns.setState({ runs: left, selected: selected === id ? (left[0]?.id ?? null) : selected });
  return () =>
    command(id, async () => {
      putRun(await engine().restoreRun(id));
      if (selected === id) select(id);
    });
}

const asked = new Set<string>();

/** Fetches a run's curves from storage, once, where none have come. */
export function needCurves(run: RunView): void {
  if (run.state === 'imported' || asked.has(run.id) || curvesOf(run.id).steps.length > 0) return;
  asked.add(run.id);
  void loadCurves(run.id).finally(() => asked.delete(run.id));
}

async function loadCurves(id: string): Promise<void> {
  await command(id, async () => {
    const kept = await engine().curves(id);
    const known = curvesOf(id);
    if (known.steps.length > 0) return;
    Object.assign(known, { steps: [...kept.steps], evals: [...kept.evals], journal: [...kept.journal] });
    tick(id);
  });
}

/** Fetches the report and the spectra of a finished run. Each may fail alone. */
export async function loadResult(id: string): Promise<void> {
  const { runs, spectra: known } = useRuns.getState();
  // While the next run of the queue trains, spectra that came with the training will do: others need its GPU.
  const enough = known[id] !== undefined && runs.some(isMoving);
  const [report, spectra] = await Promise.allSettled([
    engine().report(id),
    enough ? known[id]!.spectra : engine().spectra(id),
  ]);
  useRuns.setState((state) => ({
    reports: {
      ...state.reports,
      [id]: report.status === 'fulfilled' ? report.value : asStudioError(report.reason),
    },
    ...(spectra.status === 'fulfilled'
      ? {
          spectra: {
            ...state.spectra,
            [id]: { step: curvesOf(id).steps.at(-1)?.step ?? 0, spectra: spectra.value },
          },
        }
      : {}),
  }));
}

export async function check(backbone: string): Promise<void> {
  const set = (value: ReferenceCheck | StudioError | 'running') =>
    useRuns.setState(({ checks }) => ({ checks: { ...checks, [backbone]: value } }));
  set('running');
  try {
    set(await engine().check(backbone));
  } catch (thrown) {
    set(asStudioError(thrown));
  }
}

/** Times one step of a run on the GPU. */
export async function profile(id: string): Promise<void> {
  const set = (value: Profile | StudioError | 'running') =>
    useRuns.setState(({ profiles }) => ({ profiles: { ...profiles, [id]: value } }));
  set('running');
  try {
    set(await engine().profile(id));
  } catch (thrown) {
    set(asStudioError(thrown));
  }
}

const tick = (id: string): void =>
  useRuns.setState(({ ticks }) => ({ ticks: { ...ticks, [id]: (ticks[id] ?? 0) + 1 } }));

export function addPoints(
  id: string,
  epoch: number,
  ...points: Parameters<typeof append> extends [unknown, unknown, ...infer P] ? P : never
): void {
  if (append(curvesOf(id), epoch, ...points)) tick(id);
}

/** Takes progress that was reported under a run's id. False when there is no such run. */
export function progressOfRun(id: string, progress: RunView['progress']): boolean {
  if (!useRuns.getState().runs.some((run) => run.id === id)) return false;
  useRuns.setState(({ runs }) => ({ runs: runs.map((run) => (run.id === id ? { ...run, progress } : run)) }));
  return true;
}
