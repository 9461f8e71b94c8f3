import { ArrowDown, ArrowUp } from 'lucide-react';
import type { ReactNode } from 'react';
import { sortBy, useCompare } from '../../stores/compare.ts';
import { lightsRun, litRun, pinRun, useHover } from '../../stores/hover.ts';
import { interval, percent } from '../../text/format.ts';
import { stateWord } from '../../text/runState.ts';
import type { Compared } from './ComparePanel.tsx';
import styles from './compare.module.css';
import type { Difference } from './differing.ts';
import { bestOf, type Figure, figuresOf } from './figures.ts';

const NONE = '–';

/** A row a run, in the order given; a column's head sorts by it. */
export function RunTable({ chosen, differences }: { chosen: Compared[]; differences: Difference[] }) {
  const runs = chosen.map((c) => c.run);
  const shown = figuresOf(runs);
  const best = shown.map((f) => bestOf(f, runs));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the keyboard.
    <section className={styles['scroll']} tabIndex={0} aria-label="Runs compared">
      <table className={styles['table']} data-testid="compare-table">
        <thead>
          <tr>
            <Head sortKey="name">Run</Head>
            {differences.map((d) => (
              <Head key={d.key} sortKey={d.key}>
                {d.label}
              </Head>
            ))}
            {shown.map((f) => (
              <Head key={f.key} sortKey={f.key} figure={f}>
                {f.title}
              </Head>
            ))}
          </tr>
        </thead>
        <tbody>
          {chosen.map((compared, row) => (
            <Row
              key={compared.run.id}
              compared={compared}
              row={row}
              differences={differences}
              shown={shown}
              best={best}
            />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Head({ sortKey, figure, children }: { sortKey: string; figure?: Figure; children: ReactNode }) {
  const sort = useCompare((s) => s.sort);
  const mine = sort?.key === sortKey ? sort : null;
  return (
    <th
      scope="col"
      data-figure={figure ? '' : undefined}
      aria-sort={mine ? (mine.down ? 'descending' : 'ascending') : 'none'}
    >
      <button
        type="button"
        title={figure ? `Sort by ${figure.name}` : undefined}
        data-testid={`compare-sort-${sortKey}`}
        onClick={() => sortBy(sortKey, figure?.better === 'more')}
      >
        {children}
        {mine && (mine.down ? <ArrowDown aria-hidden /> : <ArrowUp aria-hidden />)}
      </button>
    </th>
  );
}

interface RowProps {
  compared: Compared;
  row: number;
  differences: Difference[];
  shown: readonly Figure[];
  best: (number | null)[];
}

function Row({ compared: { run, number, colour }, row, differences, shown, best }: RowProps) {
  const lit = useHover((s) => litRun(s) === run.id);
  const pinned = useHover((s) => s.pinnedRun === run.id);
  const { progress } = run;
  const state =
    run.state === 'running' && progress.total > 0
      ? `${stateWord(run.state)} ${percent(progress.done / progress.total, 0)}`
      : stateWord(run.state);
  return (
    <tr data-lit={lit || undefined} data-testid={`compare-${run.id}`} {...lightsRun(run.id)}>
      <th scope="row">
        <button
          type="button"
          aria-pressed={pinned}
          title={`${run.name}: click to keep it lit`}
          onClick={() => pinRun(run.id)}
        >
          <i style={{ background: colour }} aria-hidden="true" />
          <b>{number}</b>
          <span>{run.name}</span>
          {run.state !== 'done' && <small>{state}</small>}
        </button>
      </th>
      {differences.map((d) => (
        <td key={d.key}>{d.words[row] ?? NONE}</td>
      ))}
      {shown.map((f, i) => {
        const value = f.of(run);
        const score = f.score?.(run);
        return (
          <td key={f.key} data-figure="" data-best={(value !== null && value === best[i]) || undefined}>
            {value === null ? NONE : f.words(value)}
            {score && <small>{interval(score.low, score.high)}</small>}
          </td>
        );
      })}
    </tr>
  );
}
