import { ListX, Pause, Play, Square } from 'lucide-react';
import { memo } from 'react';
import type { Setting } from '../../../models/describe.ts';
import type { RunPlan, RunView } from '../../../workers/protocol.ts';
import { undoable } from '../../actions/undoable.ts';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { NameField } from '../../parts/Inputs.tsx';
import { ProgressLine } from '../../parts/ProgressLine.tsx';
import { useData } from '../../stores/data.ts';
import { useMachine } from '../../stores/machine.ts';
import { backboneOf, formOf, methodOf, settingsOf, usePlan } from '../../stores/plan.ts';
import { leaveQueue, queueOf } from '../../stores/queue.ts';
import {
  canResume,
  clearError,
  curvesOf,
  hasResult,
  isActive,
  isMoving,
  pause,
  rename,
  resume,
  selectedRun,
  stop,
  useRuns,
} from '../../stores/runs.ts';
import { go } from '../../stores/view.ts';
import { figure, interval, loss, moment, percent, three } from '../../text/format.ts';
import { stateWord } from '../../text/runState.ts';
import { Curves } from './Curves.tsx';
import styles from './train.module.css';

export function TrainStage() {
  const run = useRuns(selectedRun);
  if (!run || run.state === 'imported') return <NotYet />;
  return <Run run={run} />;
}

function NotYet() {
  const dataset = usePlan((s) => s.dataset);
  return (
    <div className={styles['stage']}>
      <h1>Nothing has trained yet</h1>
      <p className={styles['lead']}>
        {dataset
          ? 'Press Train. Loss and accuracy are drawn here as they come, beside what the frozen backbone reaches alone.'
          : 'Pictures come first: drop a folder, or try the sample. Then press Train.'}
      </p>
      {!dataset && (
        <div>
          <Button onClick={() => go('data')}>Go to Data</Button>
        </div>
      )}
      <div className={styles['blank']} aria-hidden="true">
        <svg viewBox="0 0 640 220" preserveAspectRatio="none" aria-hidden="true">
          <path d="M0 219H640M0 146H640M0 73H640" stroke="var(--line)" vectorEffect="non-scaling-stroke" />
          <path
            d="M0 24C80 150 200 176 640 190"
            fill="none"
            stroke="var(--frozen-2)"
            strokeDasharray="4 4"
            vectorEffect="non-scaling-stroke"
          />
        </svg>
      </div>
    </div>
  );
}

function Run({ run }: { run: RunView }) {
  const problem = useRuns((s) => s.errors[run.id]);
  return (
    <div className={styles['stage']}>
      <header className={styles['head']}>
        <div className={styles['title']}>
          <h1>
            <NameField
              label="Name of this run"
              value={run.name}
              onCommit={(name) => void rename(run.id, name)}
            />
          </h1>
          <p role="status" data-testid="run-state" data-state={run.state}>
            {stateWord(run.state)}, {run.state === 'queued' ? 'made' : 'begun'} {moment(run.createdAt)}
          </p>
        </div>
        <Controls run={run} />
      </header>
      {problem && <ErrorNote error={problem} onDismiss={() => clearError(run.id)} />}
      <State run={run} />
      <Figures run={run} />
      <Curves run={run} />
      <Started plan={run.plan} datasetName={run.datasetName} />
    </div>
  );
}

function Controls({ run }: { run: RunView }) {
  return (
    <div className={styles['controls']}>
      {isMoving(run) && (
        <Button onClick={() => void pause(run.id)} data-testid="pause" aria-keyshortcuts="Space">
          <Pause aria-hidden /> Pause
        </Button>
      )}
      {canResume(run) && (
        <Button
          look={run.state === 'interrupted' ? 'primary' : undefined}
          onClick={() => void resume(run.id)}
          data-testid="resume"
          aria-keyshortcuts="Space"
        >
          <Play aria-hidden /> Resume
        </Button>
      )}
      {run.state === 'queued' && (
        <>
          <Button onClick={() => void resume(run.id)} data-testid="begin">
            <Play aria-hidden /> Begin next
          </Button>
          <Button onClick={() => void leave(run)} data-testid="leave-queue">
            <ListX aria-hidden /> Take out
          </Button>
        </>
      )}
      {isActive(run) && run.state !== 'queued' && (
        <Button onClick={() => void stop(run.id)} data-testid="stop">
          <Square aria-hidden /> Stop
        </Button>
      )}
      {hasResult(run) && (
        <Button look="primary" onClick={() => go('result')} data-testid="see-result">
          See the result
        </Button>
      )}
    </div>
  );
}

async function leave(run: RunView): Promise<void> {
  const restore = await leaveQueue(run);
  if (restore) undoable(`Took ${run.name} out of the queue`, restore);
}

/** Its place in the queue, and what it waits for. */
function Waiting({ run }: { run: RunView }) {
  const place = useRuns((s) => queueOf(s.runs).findIndex((other) => other.id === run.id));
  const moving = useRuns((s) => s.runs.find(isMoving)?.name);
  const moves = useRuns((s) => s.queueMoves);
  const rest = moves
    ? moving
      ? `${moving} trains now.`
      : 'It begins at once.'
    : 'The queue is held; start it in the list of runs.';
  return (
    <p className={styles['lead']} data-testid="waiting">
      Number {place + 1} in the queue. Its settings stay as they are, whatever is changed now. {rest}
    </p>
  );
}

/** Progress while it moves; otherwise what happened and the next step. */
function State({ run }: { run: RunView }) {
  const { progress, state } = run;
  if (state === 'queued') return <Waiting run={run} />;
  if (state === 'failed' && run.error) return <ErrorNote error={run.error} />;
  if (state === 'interrupted')
    return (
      <ErrorNote
        tone="warning"
        error={{
          name: 'Interrupted',
          message: `The page was closed at ${progress.unit === 'steps' ? `step ${progress.done} of ${progress.total}` : 'an early stage'}.`,
          advice:
            'Resume goes on from the last checkpoint and ends in the same weights as if nothing had happened.',
        }}
      />
    );
  return (
    <div className={styles['progress']} data-paused={state === 'paused' || undefined}>
      <ProgressLine
        progress={progress}
        {...(state === 'paused' ? { label: `${progress.phase}, paused` } : {})}
      />
    </div>
  );
}

/** Samples a second: the worker's own count where it counts samples, else from the step's time. */
export function imagesPerSecond(run: RunView): number | null {
  if (/^(images|pictures|texts|sounds)$/.test(run.progress.unit)) return run.progress.perSecond;
  const batch = run.plan.settings['batch_size'] ?? run.plan.settings['batch'];
  return run.latest && typeof batch === 'number' && run.latest.ms > 0 ? (batch * 1000) / run.latest.ms : null;
}

function Figures({ run }: { run: RunView }) {
  // The points lie outside the store; the count of changes is what tells that there are new ones.
  useRuns((s) => s.ticks[run.id]);
  const evals = curvesOf(run.id).evals;
  const val = evals.findLast((e) => e.split === 'val')?.accuracy;
  const rate = imagesPerSecond(run);
  const { latest, best, probe } = run;
  return (
    <dl className={styles['figures']}>
      <div data-main>
        <dt>Validation accuracy</dt>
        <dd data-testid="val-accuracy">{val === undefined ? '–' : percent(val)}</dd>
      </div>
      <div>
        <dt>Linear probe</dt>
        <dd data-testid="probe-accuracy" title={probe ? interval(probe.low, probe.high) : undefined}>
          {probe ? percent(probe.accuracy) : '–'}
        </dd>
      </div>
      <div>
        <dt>Best kept</dt>
        <dd data-testid="best-accuracy">
          {best ? percent(best.accuracy) : '–'}
          {best && <small>step {best.step}</small>}
        </dd>
      </div>
      <div>
        <dt>Loss</dt>
        <dd data-testid="loss">{latest ? loss(latest.loss) : '–'}</dd>
      </div>
      <div>
        <dt>Rate</dt>
        <dd>{latest ? figure(Number(latest.lr.toPrecision(3))) : '–'}</dd>
      </div>
      <div>
        <dt>Gradient norm</dt>
        <dd>{latest ? three(latest.gradNorm) : '–'}</dd>
      </div>
      <div>
        <dt>Speed</dt>
        <dd data-testid="images-per-second">
          {rate === null ? '–' : three(rate)}
          <small>samples/s</small>
        </dd>
      </div>
    </dl>
  );
}

/** What the run was started from, and how the knobs differ from it by now. */
const Started = memo(function Started({ plan: begun, datasetName }: { plan: RunPlan; datasetName: string }) {
  const catalogue = useMachine((s) => s.catalogue);
  const plan = usePlan();
  const datasets = useData((s) => s.datasets);
  const form = formOf(catalogue, begun);
  const now = settingsOf(plan);
  const changes: string[] = [];
  if (plan.dataset && plan.dataset !== begun.dataset)
    changes.push(`data ${datasets.find((d) => d.id === plan.dataset)?.name ?? 'another'}`);
  if (plan.method !== begun.method) changes.push(`method ${methodOf(catalogue, plan.method)?.title ?? ''}`);
  else
    for (const s of form)
      if (differs(begun, s, now))
        changes.push(`${s.label.toLowerCase()} ${value(begun.settings[s.key])} → ${value(now[s.key])}`);
  const settings = form.map((s) => [s.label, value(begun.settings[s.key] ?? s.default)] as const);
  return (
    <section className={styles['started']} aria-label="Started with">
      <h2>Started with</h2>
      <p>
        {datasetName}, {backboneOf(catalogue, begun.backbone)?.title ?? begun.backbone},{' '}
        {methodOf(catalogue, begun.method)?.title ?? begun.method}. It keeps these whatever is changed now.
      </p>
      <dl>
        {settings.map(([label, words]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
      <p className={styles['changes']}>
        {changes.length > 0 && `The next run will differ: ${changes.join(', ')}.`}
      </p>
    </section>
  );
});

const differs = (begun: RunPlan, s: Setting, now: Record<string, unknown>): boolean =>
  begun.settings[s.key] !== undefined && JSON.stringify(begun.settings[s.key]) !== JSON.stringify(now[s.key]);

function value(v: unknown): string {
  if (typeof v === 'number') return figure(v);
  if (typeof v === 'boolean') return v ? 'on' : 'off';
  if (Array.isArray(v)) return v.length > 2 ? `${v.length} modules` : v.join(', ') || 'none';
  return String(v);
}
