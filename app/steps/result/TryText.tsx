import { useRef, useState } from 'react';
import type { Prediction, RunView, StudioError } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import parts from '../../parts/parts.module.css';
import { asStudioError, engine } from '../../stores/connection.ts';
import { useData } from '../../stores/data.ts';
import styles from './result.module.css';
import { Said } from './TryIt.tsx';

/** A box to write in: what is said of the text with the adapter, and without. */
export function TryText({ run }: { run: RunView }) {
  const pairs = useData((s) => s.datasets.find((d) => d.id === run.plan.dataset)?.table?.chosen.pair != null);
  const [text, setText] = useState('');
  const [second, setSecond] = useState('');
  const [prediction, setPrediction] = useState<Prediction | null>(null);
  const [error, setError] = useState<StudioError | null>(null);
  const [busy, setBusy] = useState(false);
  const asked = useRef(0);
  const predict = async () => {
    const mine = ++asked.current;
    setBusy(true);
    try {
      const said = await engine().predict(run.id, { text: text.trim(), pair: pairs ? second.trim() : null });
      if (mine !== asked.current) return;
      setPrediction(said);
      setError(null);
    } catch (thrown) {
      if (mine === asked.current) setError(asStudioError(thrown));
    }
    if (mine === asked.current) setBusy(false);
  };
  return (
    <section className={styles['try']} aria-label="Try it" data-testid="try-box">
      <div className={styles['tryHead']}>
        <h2>Try it</h2>
        <p className={styles['quiet']}>Write or paste a text.</p>
      </div>
      <form
        className={styles['tryText']}
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim()) void predict();
        }}
      >
        <textarea
          className={parts['field']}
          aria-label="Text to try"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.metaKey || event.ctrlKey) && text.trim()) void predict();
          }}
          data-testid="try-text"
        />
        {pairs && (
          <textarea
            className={parts['field']}
            aria-label="Second text to try"
            value={second}
            onChange={(event) => setSecond(event.target.value)}
            data-testid="try-second"
          />
        )}
        <div>
          <Button type="submit" size="small" aria-disabled={text.trim() === ''} data-testid="try-submit">
            Classify
          </Button>
          <span className={styles['quiet']}>Ctrl or ⌘ and Enter does the same.</span>
        </div>
      </form>
      {error && <ErrorNote error={error} onDismiss={() => setError(null)} />}
      <Said prediction={prediction} busy={busy} names={run.classes} text />
    </section>
  );
}
