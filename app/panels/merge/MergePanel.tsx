import { ChevronDown, X } from 'lucide-react';
import { useEffect } from 'react';
import type { MergePart, MergePreview, MergeScore, RunView } from '../../../workers/protocol.ts';
import { Button, IconButton } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { Menu } from '../../parts/Overlays.tsx';
import { lightsRun, litRun, useHover } from '../../stores/hover.ts';
import { addPart, leavePart, mergeable, tidyMerge, useMerge, weigh } from '../../stores/merge.ts';
import { useRuns } from '../../stores/runs.ts';
import { runColour } from '../../text/colour.ts';
import { count, interval, percent } from '../../text/format.ts';
import { MergeOutcome } from './MergeOutcome.tsx';
import styles from './merge.module.css';

/** Several adapters added with weights: what each of them loses by it, and the sum as a file. */
export function MergePanel() {
  const { parts, found, busy, error } = useMerge();
  const runs = useRuns((s) => s.runs);
  const others = mergeable(runs, parts);
  useEffect(() => {
    if (runs.length) tidyMerge();
  }, [runs]);
  const taken = parts.flatMap((part) => {
    const run = runs.find((r) => r.id === part.run);
    return run ? [{ part, run }] : [];
  });
  return (
    <div className={styles['merge']} data-testid="merge" data-tall={taken.length > 1 || undefined}>
      <div className={styles['head']}>
        <Menu
          label="Adapters that can be added"
          trigger={
            <Button size="small" disabled={others.length === 0} data-testid="merge-choose">
              Add an adapter <ChevronDown aria-hidden />
            </Button>
          }
          entries={others.map((run) => ({ label: run.name, perform: () => addPart(run.id) }))}
        />
        <p>{remark(taken.length, others.length)}</p>
      </div>
      {taken.length > 0 && <Parts taken={taken} found={taken.length > 1 ? found : null} busy={busy} />}
      {error && <ErrorNote error={error} />}
      {taken.length > 1 && found && <MergeOutcome found={found} />}
    </div>
  );
}

function remark(taken: number, others: number): string {
  if (taken > 1)
    return 'The weighted updates are added to one backbone. Each adapter is scored on its own held-out pictures; what it loses there is its concept loss.';
  if (taken === 1)
    return others ? 'Choose at least one more.' : 'There is no other adapter on the same backbone yet.';
  return others > 1
    ? 'Choose two or more trained adapters of one backbone, made here or dropped on the page.'
    : 'Two trained adapters of one backbone can be added here. Train another one, or drop its file on the page.';
}

interface PartsProps {
  taken: { part: MergePart; run: RunView }[];
  found: MergePreview | null;
  busy: boolean;
}

/** A row an adapter. */
function Parts({ taken, found, busy }: PartsProps) {
  const mixed = new Set(taken.map(({ run }) => run.classes.join('\n'))).size > 1;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the keyboard.
    <section className={styles['scroll']} tabIndex={0} aria-label="Adapters added">
      <table data-testid="merge-table" aria-busy={busy}>
        <thead>
          <tr>
            <th scope="col">Adapter</th>
            <th scope="col">Weight</th>
            <th scope="col">Alone</th>
            <th scope="col">In the sum</th>
            <th scope="col">Concept loss</th>
            {mixed && <th scope="col">Among all classes</th>}
            <td />
          </tr>
        </thead>
        <tbody>
          {taken.map(({ part, run }) => (
            <Row
              key={run.id}
              part={part}
              run={run}
              score={found?.scores.find((s) => s.run === run.id)}
              known={found !== null}
              mixed={mixed}
            />
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface RowProps {
  part: MergePart;
  run: RunView;
  score: MergeScore | undefined;
  known: boolean;
  mixed: boolean;
}

function Row({ part, run, score, known, mixed }: RowProps) {
  const lit = useHover((s) => litRun(s) === run.id);
  return (
    <tr data-lit={lit || undefined} {...lightsRun(run.id)}>
      <th scope="row" title={`${run.name}, ${run.datasetName}`}>
        <i style={{ background: runColour(run.id) }} aria-hidden="true" />
        <span>{run.name}</span>
      </th>
      <td>
        <span className={styles['weight']}>
          <input
            type="range"
            min={-1}
            max={2}
            step={0.05}
            value={part.weight}
            aria-label={`Weight of ${run.name}`}
            data-testid={`merge-weight-${run.id}`}
            onChange={(e) => weigh(run.id, Number(e.target.value))}
          />
          <output>{part.weight.toFixed(2).replace('-', '−')}</output>
        </span>
      </td>
      {score ? (
        <>
          <td>
            {percent(score.alone.accuracy)}{' '}
            <small>
              {score.split} of {count(score.alone.n)}
            </small>
          </td>
          <td data-testid={`merge-own-${run.id}`}>
            {percent(score.own.accuracy)} <small>{interval(score.own.low, score.own.high)}</small>
          </td>
          <td>
            <Loss points={100 * (score.alone.accuracy - score.own.accuracy)} />
          </td>
          {mixed && <td>{percent(score.all.accuracy)}</td>}
        </>
      ) : (
        <td colSpan={mixed ? 4 : 3} className={styles['quiet']}>
          {known && (run.dataHash === null ? 'Its pictures are not here.' : 'It is not scored here.')}
        </td>
      )}
      <td>
        <IconButton small label={`Leave ${run.name} out`} onClick={() => leavePart(run.id)}>
          <X aria-hidden />
        </IconButton>
      </td>
    </tr>
  );
}

/** Points of accuracy lost, as a bar from zero and in words. */
function Loss({ points }: { points: number }) {
  const width = Math.min(100, Math.abs(points) * 4);
  return (
    <span className={styles['loss']} data-gain={points < 0 || undefined}>
      <span aria-hidden="true">
        <span style={{ width: `${width}%` }} />
      </span>
      {points < -0.05 ? 'gains ' : ''}
      {Math.abs(points) > 0.05 ? `${Math.abs(points).toFixed(1)} points` : 'none'}
    </span>
  );
}
