import type { Progress } from '../../workers/protocol.ts';
import { bytes, count, duration, three } from '../text/format.ts';
import styles from './parts.module.css';

/** Long work with its numbers: done of total, rate, time left. */
export function ProgressLine({ progress, label }: { progress: Progress; label?: string }) {
  const inBytes = progress.unit === 'bytes';
  const amount = inBytes ? bytes : count;
  const share = progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
  return (
    <div className={styles['progress']}>
      <div className={styles['progressText']}>
        <span>{label ?? progress.phase}</span>
        <span>
          {amount(progress.done)}
          {progress.total > 0 && ` of ${amount(progress.total)}`} {!inBytes && progress.unit}
        </span>
        {progress.perSecond !== null && (
          <span>
            {inBytes ? bytes(progress.perSecond) : `${three(progress.perSecond)} ${progress.unit}`}/s
          </span>
        )}
        <span>{progress.secondsLeft === null ? '' : `${duration(progress.secondsLeft)} left`}</span>
      </div>
      <div
        className={styles['track']}
        role="progressbar"
        aria-label={label ?? progress.phase}
        aria-valuemin={0}
        aria-valuemax={progress.total}
        aria-valuenow={progress.done}
      >
        <div className={styles['fill']} style={{ transform: `scaleX(${share})` }} />
      </div>
    </div>
  );
}
