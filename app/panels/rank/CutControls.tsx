import type { RunView, Spectrum } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { downloadAdapter } from '../../steps/result/download.ts';
import { type Cutting, cutTo, measureCurve } from '../../stores/ranks.ts';
import { bytes, interval, percent } from '../../text/format.ts';
import { widest } from './order.ts';
import styles from './rank.module.css';

interface Props {
  run: RunView;
  rows: Spectrum[];
  cutting: Cutting;
}

/** One slider for all modules, what the cut does to accuracy and size, and the download of what is seen. */
export function CutControls({ run, rows, cutting }: Props) {
  const width = widest(rows);
  const { ranks, found, busy } = cutting;
  const isCut = Object.keys(ranks).length > 0;
  const common = Math.max(...rows.map((r) => ranks[r.path] ?? r.values.length));
  const all = (rank: number) => Object.fromEntries(rows.map((r) => [r.path, rank]));
  const names = rows.map((r) => r.path);
  return (
    <>
      <div className={styles['cut']}>
        <label>
          Rank of all modules
          <input
            type="range"
            min={0}
            max={width}
            value={common}
            data-testid="rank-all"
            onChange={(e) => {
              const rank = Number(e.target.value);
              void cutTo(run.id, rank === width ? {} : all(rank));
            }}
          />
          <output>
            {common} of {width}
          </output>
        </label>
        <Button size="small" disabled={busy} onClick={() => void measureCurve(run.id, names, width)}>
          Try every rank
        </Button>
        <Button size="small" disabled={!isCut} onClick={() => void cutTo(run.id, {})}>
          Reset
        </Button>
        <Button
          size="small"
          disabled={!isCut || busy}
          data-testid="rank-download"
          onClick={() => void downloadAdapter(run.id, ranks)}
        >
          Download at these ranks
        </Button>
      </div>
      <p className={styles['outcome']} aria-live="polite" data-testid="rank-outcome">
        {busy && <span>Trying …</span>}
        {!busy && !isCut && (
          <span>Cut the adapter to see what it would be worth; the run stays as it is.</span>
        )}
        {isCut && found && (
          <>
            {found.score ? (
              <span>
                {found.split === 'test' ? 'Test' : 'Validation'} accuracy{' '}
                <strong>{percent(found.score.accuracy)}</strong> (
                {interval(found.score.low, found.score.high)})
              </span>
            ) : (
              <span>Its pictures are not here, so it cannot be scored.</span>
            )}
            <span>
              file <strong>{bytes(found.fileBytes)}</strong>
            </span>
            <span>
              energy kept <strong>{percent(found.energy)}</strong>
            </span>
          </>
        )}
      </p>
    </>
  );
}
