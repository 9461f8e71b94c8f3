import type { Report, RunView } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { hasResult, isActive, loadResult, selectedRun, useRuns } from '../../stores/runs.ts';
import { go, showPanel } from '../../stores/view.ts';
import { stateWord } from '../../text/runState.ts';
import { Understood } from '../data/Understood.tsx';
import { ClassTable } from './ClassTable.tsx';
import { Confusion } from './Confusion.tsx';
import { Headline } from './Headline.tsx';
import { Mistakes } from './Mistakes.tsx';
import styles from './result.module.css';
import { TryIt } from './TryIt.tsx';

export function ResultStage() {
  const run = useRuns(selectedRun);
  if (!run || !hasResult(run)) return <NotYet run={run} />;
  return <Result key={run.id} run={run} />;
}

function NotYet({ run }: { run: RunView | null }) {
  return (
    <div className={styles['stage']}>
      <h1>No result yet</h1>
      <p className={styles['lead']}>
        {!run
          ? 'Train an adapter, or drop the zip of one. Its scores, its mistakes and a box to try it stand here then.'
          : isActive(run)
            ? `${run.name} is still at work. Its result stands here as soon as it ends; stopping keeps the best checkpoint.`
            : `${run.name} ended without a checkpoint (${stateWord(run.state).toLowerCase()}). The Train step says why.`}
      </p>
      <div>
        <Button onClick={() => go(run ? 'train' : 'data')}>{run ? 'Go to Train' : 'Go to Data'}</Button>
      </div>
    </div>
  );
}

function Result({ run }: { run: RunView }) {
  const report = useRuns((s) => s.reports[run.id]);
  const ready = report !== undefined && 'confusion' in report;
  return (
    <div className={styles['stage']}>
      <Understood kind="adapter" />
      <Headline run={run} report={ready ? report : null} />
      {report && !ready && !run.headless && (
        <ErrorNote error={report} tone={run.state === 'imported' ? 'warning' : 'error'}>
          <Button size="small" onClick={() => void loadResult(run.id)}>
            Try again
          </Button>
        </ErrorNote>
      )}
      {run.headless ? <Headless run={run} /> : <TryIt run={run} />}
      {!report && !run.headless && <p className={styles['quiet']}>Scoring the held-out samples.</p>}
      {ready && report.confusion.length > 0 && <Details run={run} report={report} />}
    </div>
  );
}

/** An adapter alone: what can be done with it stands elsewhere. */
function Headless({ run }: { run: RunView }) {
  return (
    <section className={styles['headless']} aria-label="What it is" data-testid="headless">
      <p className={styles['lead']}>
        This file holds an adapter and no head, so it names no classes and cannot be tried on a picture.
      </p>
      <p className={styles['quiet']}>
        The Rank panel draws its updates and cuts them to lower ranks, the Merge panel adds it to another
        adapter of its backbone, and Download writes it as PEFT’s files.
      </p>
      <div>
        <Button onClick={() => showPanel('rank')}>Draw {run.name}</Button>
      </div>
    </section>
  );
}

function Details({ run, report }: { run: RunView; report: Report }) {
  return (
    <>
      <div className={styles['pair']}>
        <Confusion report={report} fileName={`${run.name}-confusion`} />
        <ClassTable report={report} fileName={`${run.name}-classes`} />
      </div>
      <Mistakes report={report} />
    </>
  );
}
