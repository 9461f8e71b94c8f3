import { ChevronRight, ListPlus, Play } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { Setting } from '../../models/describe.ts';
import { perform } from '../actions/index.ts';
import { Button, IconButton } from '../parts/Button.tsx';
import { ErrorNote } from '../parts/ErrorNote.tsx';
import { useTrainBlock } from '../shell/useTrainBlock.ts';
import { TakeAway } from '../steps/result/TakeAway.tsx';
import { engine } from '../stores/connection.ts';
import { useMachine } from '../stores/machine.ts';
import {
  backboneOf,
  formOf,
  isTurned,
  planOf,
  settingsOf,
  splitForm,
  turn,
  usePlan,
} from '../stores/plan.ts';
import { clearError, isActive, isMoving, selectedRun, turnLive, useRuns } from '../stores/runs.ts';
import { go, useView } from '../stores/view.ts';
import { bytes, compact } from '../text/format.ts';
import { nudge } from '../text/knob.ts';
import { presetOf, targeted } from '../text/targets.ts';
import { Cost } from './Cost.tsx';
import styles from './inspector.module.css';
import { Knob } from './Knob.tsx';

/** The right column: the knobs and what they cost, or, at the result, what can be taken away. */
export function Inspector({ sheet = false }: { sheet?: boolean }) {
  const place = useView((s) => s.place);
  if (place === 'result') return <TakeAway />;
  return <Knobs sheet={sheet} />;
}

function Knobs({ sheet }: { sheet: boolean }) {
  const catalogue = useMachine((s) => s.catalogue);
  const plan = usePlan();
  const open = useView((s) => s.foldOpen);
  const place = useView((s) => s.place);
  const active = useRuns((s) => {
    const run = selectedRun(s);
    return run !== null && run.state !== 'queued' && isActive(run);
  });
  const { primary, folded } = splitForm(formOf(catalogue, plan));
  const live = place === 'train' && active;
  return (
    <>
      <div className={styles['scroll']} key={live ? 'live' : 'plan'}>
        {live && <LiveKnobs />}
        <h2 className={styles['title']}>{live ? 'Next run' : 'Knobs'}</h2>
        {primary.map((setting) => (
          <PlanKnob key={setting.key} setting={setting} />
        ))}
        {!catalogue && <p className={styles['quiet']}>The engine is opening.</p>}
        {folded.length > 0 && (
          <details
            className={styles['fold']}
            open={open}
            onToggle={(event) => useView.setState({ foldOpen: event.currentTarget.open })}
          >
            <summary data-testid="more-knobs">
              <ChevronRight aria-hidden />
              {folded.length} more
            </summary>
            {open && folded.map((setting) => <PlanKnob key={setting.key} setting={setting} />)}
          </details>
        )}
        <Cost />
      </div>
      {!sheet && <TrainButton />}
      {sheet && <SheetBlock />}
    </>
  );
}

/** On narrow screens Train stands in the bar below; what is said of it, and the queue, stand here. */
function SheetBlock() {
  const block = useTrainBlock();
  const waits = useWaits();
  return (
    <div className={styles['foot']}>
      <Button
        wide
        data-testid="add-to-queue"
        aria-disabled={block !== null}
        onClick={() => !block && perform('add-to-queue')}
      >
        <ListPlus aria-hidden /> Add to the queue
      </Button>
      <p className={styles['blockLine']}>{block ?? waits}</p>
    </div>
  );
}

/** That a run begun now would wait, and for which. */
function useWaits(): string | null {
  const name = useRuns((s) => s.runs.find(isMoving)?.name);
  return name ? `It will wait for ${name}.` : null;
}

function TrainButton() {
  const block = useTrainBlock();
  const waits = useWaits();
  const error = useRuns((s) => s.errors['']);
  return (
    <div className={styles['foot']}>
      {error && <ErrorNote error={error} onDismiss={() => clearError('')} />}
      <div className={styles['go']}>
        <Button
          look="primary"
          size="big"
          data-testid="train"
          aria-disabled={block !== null}
          aria-describedby="train-block"
          onClick={() => !block && perform('train')}
        >
          <Play aria-hidden /> Train
        </Button>
        <IconButton
          className={styles['later']}
          label="Add to the queue"
          data-testid="add-to-queue"
          aria-disabled={block !== null}
          aria-keyshortcuts="Control+Shift+Enter"
          onClick={() => !block && perform('add-to-queue')}
        >
          <ListPlus aria-hidden />
        </IconButton>
      </div>
      <p id="train-block" className={styles['blockLine']}>
        {block ?? waits}
      </p>
    </div>
  );
}

function PlanKnob({ setting }: { setting: Setting }) {
  const plan = usePlan();
  const value = settingsOf(plan)[setting.key] ?? setting.default;
  const [considering, setConsidering] = useState(false);
  const cost = useNextCost(setting, value, considering && setting.primary);
  return (
    <Knob
      setting={setting}
      value={value}
      preset={plan.defaults[setting.key]}
      turned={isTurned(plan, setting.key)}
      onTurn={(next) => turn(setting.key, next)}
      onConsider={setConsidering}
      cost={cost}
      modules={setting.kind === 'modules' && <ModulesKnob setting={setting} />}
    />
  );
}

function ModulesKnob({ setting }: { setting: Setting }) {
  const catalogue = useMachine((s) => s.catalogue);
  const plan = usePlan();
  const backbone = backboneOf(catalogue, plan.backbone);
  const value = settingsOf(plan)[setting.key];
  if (!backbone || !Array.isArray(value)) return null;
  const preset = presetOf(backbone, value);
  return (
    <div className={styles['modules']}>
      <select
        className={styles['select']}
        aria-label={`${setting.label}, preset`}
        data-testid={`knob-${setting.key}`}
        value={preset?.id ?? 'own'}
        onChange={(event) => {
          const chosen = backbone.presets.find((p) => p.id === event.target.value);
          if (chosen) turn(setting.key, chosen.targets);
        }}
      >
        {backbone.presets.map((p) => (
          <option key={p.id} value={p.id}>
            {p.label}
          </option>
        ))}
        {!preset && <option value="own">Own choice</option>}
      </select>
      <button type="button" className={styles['reset']} onClick={() => go('method')}>
        {targeted(backbone, value).length} of {backbone.modules.length} modules
      </button>
    </div>
  );
}

/** What one notch more would cost, asked for only while the knob is considered. */
function useNextCost(setting: Setting, value: unknown, considering: boolean): string | null {
  const [words, setWords] = useState<string | null>(null);
  const estimate = usePlan((s) => s.estimate);
  useEffect(() => {
    setWords(null);
    const plan = planOf(usePlan.getState());
    if (!considering || !plan || !estimate || typeof value !== 'number') return;
    const next = nudge(setting, value, 1);
    if (next === value) return;
    let stale = false;
    const timer = setTimeout(async () => {
      const then = await engine()
        .estimate({ ...plan, settings: { ...plan.settings, [setting.key]: next } })
        .catch(() => null);
      if (stale || !then) return;
      const parameters = then.trainableParameters - estimate.trainableParameters;
      const memory = then.memory.total - estimate.memory.total;
      const steps = then.steps - estimate.steps;
      const parts = [
        ...(parameters !== 0 ? [`${signed(parameters, compact)} params`] : []),
        ...(Math.abs(memory) > 1e5 ? [signed(memory, bytes)] : []),
        ...(steps !== 0 ? [`${signed(steps, compact)} steps`] : []),
      ];
      setWords(parts.length > 0 ? `next: ${parts.join(', ')}` : 'next: no cost');
    }, 250);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [setting, value, considering, estimate]);
  return words;
}

const signed = (value: number, words: (n: number) => string): string =>
  `${value < 0 ? '−' : '+'}${words(Math.abs(value))}`;

/** Knobs that act at the next step of the run on the stage. */
function LiveKnobs() {
  const catalogue = useMachine((s) => s.catalogue);
  const id = useRuns((s) => s.selected)!;
  const name = useRuns((s) => selectedRun(s)?.name);
  const plan = useRuns((s) => selectedRun(s)?.plan);
  const [moved, setMoved] = useState<Record<string, number>>({});
  // biome-ignore lint/correctness/useExhaustiveDependencies: another run's knobs start from its own plan.
  useEffect(() => setMoved({}), [id]);
  const settings = plan ? formOf(catalogue, plan).filter((s) => s.live) : [];
  if (!plan || settings.length === 0) return null;
  return (
    <section className={styles['live']} aria-label={`Live knobs of ${name}`}>
      <h2 className={styles['title']}>While it runs</h2>
      {settings.map((setting) => {
        const started = plan.settings[setting.key] ?? setting.default;
        return (
          <Knob
            key={setting.key}
            setting={setting}
            value={moved[setting.key] ?? started}
            preset={started}
            turned={moved[setting.key] !== undefined && moved[setting.key] !== started}
            running
            testId={`live-${setting.key}`}
            onTurn={(next) => {
              const value = Number(next ?? started);
              setMoved((m) => ({ ...m, [setting.key]: value }));
              send(id, setting.key, value);
            }}
          />
        );
      })}
    </section>
  );
}

const pending = new Map<string, ReturnType<typeof setTimeout>>();

/** A dragged slider says its last place ten times a second at most. */
function send(run: string, knob: string, value: number): void {
  const key = `${run}/${knob}`;
  clearTimeout(pending.get(key));
  pending.set(
    key,
    setTimeout(() => void turnLive(run, knob, value), 100),
  );
}
