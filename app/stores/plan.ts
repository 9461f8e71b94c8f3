import { create } from 'zustand';
import { persist } from 'zustand/middleware';
import type { BackboneCard, MethodCard, Setting, Settings } from '../../models/describe.ts';
import type { Catalogue, DatasetView, Estimate, RunPlan, StudioError } from '../../workers/protocol.ts';
import { asStudioError, engine } from './connection.ts';
import { useMachine } from './machine.ts';

interface Choice {
  dataset: string | null;
  backbone: string | null;
  method: string | null;
}

interface PlanState extends Choice {
  /** What the reader turned, by `backbone/method`; everything else follows the defaults as they change. */
  turned: Record<string, Settings>;
  defaults: Settings;
  estimate: Estimate | null;
  estimating: boolean;
  error: StudioError | null;
}

export const usePlan = create<PlanState>()(
  persist(
    (): PlanState => ({
      dataset: null,
      backbone: null,
      method: null,
      turned: {},
      defaults: {},
      estimate: null,
      estimating: false,
      error: null,
    }),
    {
      name: 'graft-plan',
      version: 1,
      partialize: ({ dataset, backbone, method, turned }) => ({ dataset, backbone, method, turned }),
      migrate: (stored) => mendPlan(stored) as PlanState,
      merge: (stored, now) => ({ ...now, ...mendPlan(stored) }),
    },
  ),
);

/** Keeps what is well formed of a stored choice. */
export function mendPlan(stored: unknown): Partial<PlanState> {
  if (typeof stored !== 'object' || stored === null) return {};
  const from = stored as Record<string, unknown>;
  const text = (key: string) => (typeof from[key] === 'string' ? (from[key] as string) : null);
  const turned: Record<string, Settings> = {};
  if (typeof from['turned'] === 'object' && from['turned'] !== null) {
    for (const [key, value] of Object.entries(from['turned'])) {
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        turned[key] = value as Settings;
    }
  }
  return { dataset: text('dataset'), backbone: text('backbone'), method: text('method'), turned };
}

const turnedKey = (state: Choice): string => `${state.backbone}/${state.method}`;

export const settingsOf = (state: PlanState): Settings => ({
  ...state.defaults,
  ...state.turned[turnedKey(state)],
});

export function planOf(state: PlanState): RunPlan | null {
  if (!state.dataset || !state.backbone || !state.method) return null;
  return {
    dataset: state.dataset,
    backbone: state.backbone,
    method: state.method,
    settings: settingsOf(state),
  };
}

export const isTurned = (state: PlanState, key: string): boolean =>
  key in (state.turned[turnedKey(state)] ?? {});

/** Every setting of a run's form: the method's own, then the shared ones that suit what the backbone reads. */
export function formOf(
  catalogue: Catalogue | null,
  { method, backbone }: Pick<PlanState, 'method' | 'backbone'>,
): Setting[] {
  const card = catalogue?.methods.find((m) => m.id === method);
  if (!catalogue || !card) return [];
  const own = new Set(card.settings.map((s) => s.key));
  const reads = backboneOf(catalogue, backbone)?.modality;
  const asked = catalogue.training.filter((s) => !own.has(s.key) && (!s.modality || s.modality === reads));
  return [...card.settings, ...asked];
}

const PRIMARY = 5;

/** At most five settings stay in sight; the rest go under the fold in their order. */
export function splitForm(form: readonly Setting[]): { primary: Setting[]; folded: Setting[] } {
  const primary = form.filter((s) => s.primary).slice(0, PRIMARY);
  return { primary, folded: form.filter((s) => !primary.includes(s)) };
}

export const backboneOf = (catalogue: Catalogue | null, id: string | null): BackboneCard | null =>
  catalogue?.backbones.find((b) => b.id === id) ?? null;

export const methodOf = (catalogue: Catalogue | null, id: string | null): MethodCard | null =>
  catalogue?.methods.find((m) => m.id === id) ?? null;

/** The side, tokens or seconds of samples that the backbone will read under these settings. */
export function sampleSizeOf(backbone: BackboneCard, settings: Settings): number {
  const chosen = settings[backbone.size.setting];
  return typeof chosen === 'number' ? chosen : backbone.size.default;
}

export function turn(key: string, value: Settings[string] | undefined): void {
  usePlan.setState((state) => {
    const { [key]: _, ...rest } = state.turned[turnedKey(state)] ?? {};
    const mine = value === undefined ? rest : { ...rest, [key]: value };
    return { turned: { ...state.turned, [turnedKey(state)]: mine } };
  });
  scheduleEstimate();
}

/** Turns several settings at once. */
export function turnAll(settings: Settings): void {
  usePlan.setState((state) => ({
    turned: {
      ...state.turned,
      [turnedKey(state)]: { ...state.turned[turnedKey(state)], ...settings },
    },
  }));
  scheduleEstimate();
}

/** Changes data set, backbone or method; defaults and cost follow. */
export function choose(choice: Partial<Choice>): void {
  usePlan.setState(choice);
  void refreshDefaults();
}

/** What a backbone has to fit of a data set. */
type Samples = Pick<DatasetView, 'id' | 'kind' | 'table'>;

/**
 * A backbone that reads such samples and has a head for what is learnt of them: `present` where it does, else the
 * default, else the first; `present` where none does.
 */
function readerOf(catalogue: Catalogue, { kind, table }: Samples, present: string): string {
  const task = table?.chosen.task ?? 'classification';
  const fits = (b: BackboneCard | null) => b?.modality === kind && b.tasks.includes(task);
  if (fits(backboneOf(catalogue, present))) return present;
  if (fits(backboneOf(catalogue, catalogue.defaultBackbone))) return catalogue.defaultBackbone;
  return catalogue.backbones.find(fits)?.id ?? present;
}

/** Chooses a data set, and where the present backbone reads another kind, one that reads this. */
export function chooseDataset(dataset: Samples): void {
  const { catalogue } = useMachine.getState();
  const { backbone } = usePlan.getState();
  const present = backbone ?? catalogue?.defaultBackbone ?? null;
  choose({
    dataset: dataset.id,
    backbone: catalogue && present ? readerOf(catalogue, dataset, present) : backbone,
  });
}

/** Makes the choice point at things that exist, once the catalogue and the data sets are known. */
export function settle(
  catalogue: Catalogue,
  datasets: readonly Samples[],
  canTrain: (method: string) => boolean,
): void {
  const { backbone, method, dataset } = usePlan.getState();
  const fallback = catalogue.methods.find((m) => canTrain(m.id))?.id ?? null;
  const keeps = method !== null && canTrain(method) && catalogue.methods.some((m) => m.id === method);
  const shown = datasets.find((d) => d.id === dataset) ?? datasets[0];
  const kept = backboneOf(catalogue, backbone)?.id ?? catalogue.defaultBackbone;
  choose({
    backbone: shown ? readerOf(catalogue, shown, kept) : kept,
    method: keeps ? method : fallback,
    dataset: shown?.id ?? null,
  });
}

let asked = 0;

async function refreshDefaults(): Promise<void> {
  const { dataset, backbone, method } = usePlan.getState();
  if (!backbone || !method) return;
  const mine = ++asked;
  try {
    const defaults = await engine().defaults(dataset, backbone, method);
    if (mine !== asked) return;
    usePlan.setState({ defaults });
    await refreshEstimate();
  } catch (thrown) {
    if (mine === asked) usePlan.setState({ error: asStudioError(thrown), estimate: null });
  }
}

let timer: ReturnType<typeof setTimeout> | undefined;

function scheduleEstimate(): void {
  clearTimeout(timer);
  timer = setTimeout(() => void refreshEstimate(), 120);
}

let estimates = 0;

export async function refreshEstimate(): Promise<void> {
  const plan = planOf(usePlan.getState());
  const mine = ++estimates;
  if (!plan || !useMachine.getState().catalogue) {
    usePlan.setState({ estimate: null, error: null, estimating: false });
    return;
  }
  usePlan.setState({ estimating: true });
  try {
    const estimate = await engine().estimate(plan);
    if (mine === estimates) usePlan.setState({ estimate, error: null, estimating: false });
  } catch (thrown) {
    if (mine === estimates)
      usePlan.setState({ estimate: null, error: asStudioError(thrown), estimating: false });
  }
}
