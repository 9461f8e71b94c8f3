import { Download } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { IconButton } from '../../parts/Button.tsx';
import { save } from '../../parts/save.ts';
import { useLog } from '../../stores/log.ts';
import styles from '../panels.module.css';

const clock = (at: number): string => new Date(at).toLocaleTimeString('en-GB');
const WORDS = { info: '', warning: 'Warning. ', error: 'Error. ' };

/** What happened, in order. */
export function LogPanel() {
  const lines = useLog((s) => s.lines);
  const end = useRef<HTMLLIElement | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: follows the newest line.
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [lines.length]);
  if (lines.length === 0) return <p className={styles['quiet']}>Nothing has happened yet.</p>;
  const text = () =>
    lines
      .map((l) =>
        JSON.stringify({
          at: new Date(l.at).toISOString(),
          ...(l.run ? { run: l.run } : {}),
          kind: l.kind,
          text: l.text,
        }),
      )
      .join('\n');
  return (
    <div className={styles['log']} data-testid="log">
      <IconButton
        small
        label="Save the log as JSON lines"
        onClick={() => save('graft-log.jsonl', text(), 'application/jsonl')}
      >
        <Download aria-hidden />
      </IconButton>
      <ol>
        {lines.map((line) => (
          <li key={line.id} data-kind={line.kind}>
            <time dateTime={new Date(line.at).toISOString()}>{clock(line.at)}</time>
            <span>
              {WORDS[line.kind]}
              {line.text}
            </span>
          </li>
        ))}
        <li ref={end} aria-hidden="true" />
      </ol>
    </div>
  );
}
