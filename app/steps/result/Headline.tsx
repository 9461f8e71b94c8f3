import type { Report, RunView, Score } from '../../../workers/protocol.ts';
import { useKind } from '../../stores/runs.ts';
import { interval, percent, plural, sampleNoun } from '../../text/format.ts';
import styles from './result.module.css';

/** The score with its interval, on one line with the probe's. */
export function Headline({ run, report }: { run: RunView; report: Report | null }) {
  const score = run.test ?? report?.score ?? null;
  const base = report?.baseScore ?? run.probe ?? null;
  const noun = sampleNoun[useKind(run)];
  const split = run.test || report?.split === 'test' ? 'test' : 'validation';
  return (
    <header className={styles['headline']}>
      <div>
        <h1>{run.name}</h1>
        <p className={styles['quiet']}>
          {run.datasetName}
          {score && `, scored on ${plural(score.n, `${split} ${report?.losses ? 'token' : noun}`)}`}
          {run.state === 'stopped' && ', stopped early: the best checkpoint'}
          {run.state === 'imported' && ', opened from a file'}
        </p>
      </div>
      {score && report?.losses && <Tokens score={score} losses={report.losses} />}
      {score && !report?.losses && (
        <dl className={styles['scores']}>
          <div data-main>
            <dt>With the adapter</dt>
            <dd>
              <span data-testid="test-accuracy">{percent(score.accuracy)}</span>
              <small>{interval(score.low, score.high)}</small>
            </dd>
          </div>
          <div>
            <dt>Frozen, linear probe</dt>
            <dd>
              <span data-testid="probe-accuracy">{base ? percent(base.accuracy) : '–'}</span>
              <small>{base ? interval(base.low, base.high) : ''}</small>
            </dd>
          </div>
          <div className={styles['gain']}>
            <dt>Gain</dt>
            <dd>
              <span>{base ? gain(score.accuracy - base.accuracy) : '–'}</span>
              <small>{base && verdict(score, base)}</small>
            </dd>
          </div>
        </dl>
      )}
      {score && !report?.losses && <Intervals score={score} base={base} />}
    </header>
  );
}

/** What a model that answers every token is worth: its perplexity, before and after. */
function Tokens({ score, losses }: { score: Score; losses: NonNullable<Report['losses']> }) {
  const perplexity = (loss: number) => Math.exp(loss).toFixed(loss > Math.log(100) ? 0 : 2);
  return (
    <dl className={styles['scores']}>
      <div data-main>
        <dt>Perplexity with the adapter</dt>
        <dd>
          <span data-testid="perplexity">{perplexity(losses.loss)}</span>
          <small>loss {losses.loss.toFixed(3)}</small>
        </dd>
      </div>
      <div>
        <dt>Before training</dt>
        <dd>
          <span data-testid="perplexity-before">{perplexity(losses.start)}</span>
          <small>loss {losses.start.toFixed(3)}</small>
        </dd>
      </div>
      <div className={styles['gain']}>
        <dt>Tokens said rightly</dt>
        <dd>
          <span>{percent(score.accuracy)}</span>
          <small>{interval(score.low, score.high)}</small>
        </dd>
      </div>
    </dl>
  );
}

const gain = (difference: number): string =>
  `${difference < 0 ? '−' : '+'}${Math.abs(difference * 100).toFixed(1)} points`;

export function verdict(score: Score, base: Score): string {
  if (score.low > base.high) return 'the intervals do not meet';
  return score.accuracy >= base.accuracy ? 'the intervals overlap' : 'below the probe';
}

/** Both scores and their 95 % intervals on one axis. */
function Intervals({ score, base }: { score: Score; base: Score | null }) {
  const low = Math.max(0, Math.floor((Math.min(score.low, base?.low ?? 1) - 0.02) * 20) / 20);
  const at = (v: number) => `${((v - low) / (1 - low)) * 100}%`;
  const line = (s: Score, colour: string, y: number) => (
    <>
      <line x1={at(s.low)} x2={at(s.high)} y1={y} y2={y} stroke={colour} strokeWidth="2" />
      <circle cx={at(s.accuracy)} cy={y} r="4.5" fill={colour} />
    </>
  );
  return (
    <div className={styles['axis']}>
      <svg
        width="100%"
        height="36"
        role="img"
        aria-label="Both scores with their 95 % intervals"
        overflow="visible"
      >
        <line x1="0" x2="100%" y1="35.500" y2="35.500" stroke="var(--line-2)" />
        {base && line(base, 'var(--frozen-3)', 24)}
        {line(score, 'var(--accent)', 10)}
      </svg>
      <span>{percent(low, 0)}</span>
      <span>100 %</span>
    </div>
  );
}
