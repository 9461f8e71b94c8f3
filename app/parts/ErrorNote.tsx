import { CircleAlert, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import type { StudioError } from '../../workers/protocol.ts';
import { Button } from './Button.tsx';
import styles from './parts.module.css';

interface Props {
  error: StudioError;
  tone?: 'error' | 'warning';
  onDismiss?: () => void;
  children?: ReactNode;
}

/** An error where it happened: what was found, what it means, the next step. */
export function ErrorNote({ error, tone = 'error', onDismiss, children }: Props) {
  const warning = tone === 'warning';
  return (
    <div
      className={`${styles['error']} ${warning ? styles['warning'] : ''}`}
      role={warning ? 'status' : 'alert'}
      data-testid="error"
    >
      {warning ? <TriangleAlert aria-hidden /> : <CircleAlert aria-hidden />}
      <div className={styles['errorBody']}>
        <p>{error.message}</p>
        {error.advice && <p className={styles['advice']}>{error.advice}</p>}
      </div>
      {(children || onDismiss) && (
        <div className={styles['errorActions']}>
          {children}
          {onDismiss && (
            <Button size="small" onClick={onDismiss}>
              Dismiss
            </Button>
          )}
        </div>
      )}
    </div>
  );
}
