import { TriangleAlert } from 'lucide-react';
import type { Estimate } from '../../workers/protocol.ts';
import { Button } from '../parts/Button.tsx';
import { ErrorNote } from '../parts/ErrorNote.tsx';
import { turnAll, usePlan } from '../stores/plan.ts';
import { bytes, compact, count, duration, percent, plural } from '../text/format.ts';
import styles from './inspector.module.css';

/** What the plan will take, known before it is started. */
export function Cost() {
  const { estimate, error, estimating, dataset } = usePlan();
  if (error) return <ErrorNote error={error} />;
  if (!estimate)
    return (
      <section className={styles['costs']} aria-label="Cost">
        <h2 className={styles['title']}>Cost</h2>
        <p className={styles['quiet']}>{dataset ? 'Working it out.' : 'Known once there is data.'}</p>
      </section>
    );
  return (
    <section className={styles['costs']} aria-label="Cost" aria-busy={estimating}>
      <h2 className={styles['title']}>Cost</h2>
      <dl>
        <dt>Learns</dt>
        <dd data-testid="cost-parameters">
          {compact(estimate.trainableParameters)}
          <small>
            of {compact(estimate.totalParameters)},{' '}
            {percent(estimate.trainableParameters / Math.max(1, estimate.totalParameters))}
          </small>
        </dd>
        <dt>Attaches to</dt>
        <dd title={estimate.targets.join('\n')}>{plural(estimate.targets.length, 'module')}</dd>
        <dt>Memory</dt>
        <dd data-testid="cost-memory">{bytes(estimate.memory.total)}</dd>
        <dd className={styles['memory']}>
          <Memory memory={estimate.memory} />
        </dd>
        <dt>File</dt>
        <dd data-testid="cost-file">{bytes(estimate.fileBytes)}</dd>
        <dt>Time</dt>
        <dd data-testid="cost-time">
          {estimate.seconds === null ? 'after a first step' : duration(estimate.seconds)}
          <small>{count(estimate.steps)} steps</small>
        </dd>
        {estimate.frozenShare > 0 && (
          <>
            <dt>Saved</dt>
            <dd>
              {percent(estimate.frozenShare, 0)} <small>of each step, cached</small>
            </dd>
          </>
        )}
      </dl>
      <Fit estimate={estimate} />
      {estimate.warnings.length > 0 && (
        <ul className={styles['warnings']}>
          {estimate.warnings.map((warning) => (
            <li key={warning}>
              <TriangleAlert aria-hidden />
              {warning}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** What does not fit this GPU, and what would: each offer is a button that sets its settings. */
function Fit({ estimate: { problem, offers, memory } }: { estimate: Estimate }) {
  if (!problem && !offers.length) return null;
  return (
    <div className={styles['fit']} data-testid="cost-fit">
      {problem && (
        <p role="alert">
          <TriangleAlert aria-hidden />
          {problem}
        </p>
      )}
      {offers.length > 0 && (
        <>
          <p className={styles['quiet']}>
            {problem ? 'These would fit:' : `These take less than ${bytes(memory.total)}:`}
          </p>
          <ul>
            {offers.map(({ label, settings, total }) => (
              <li key={label}>
                <Button
                  size="small"
                  wide
                  data-testid={`offer-${Object.keys(settings).join('-')}`}
                  onClick={() => turnAll(settings)}
                >
                  {label}
                  <small>{bytes(total)}</small>
                </Button>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

const PARTS: [keyof Omit<Estimate['memory'], 'total'>, string, string][] = [
  ['weights', 'frozen weights', 'var(--frozen-2)'],
  ['cache', 'cached features', 'var(--frozen-3)'],
  ['activations', 'activations', 'var(--accent-faint)'],
  ['optimiser', 'optimiser', 'var(--accent)'],
];

function Memory({ memory }: { memory: Estimate['memory'] }) {
  const words = PARTS.map(([key, name]) => `${name} ${bytes(memory[key])}`).join(', ');
  return (
    <span className={styles['memoryBar']} role="img" aria-label={words} title={words}>
      {PARTS.map(([key, , colour]) => (
        <i key={key} style={{ flexGrow: memory[key], background: colour }} />
      ))}
    </span>
  );
}
