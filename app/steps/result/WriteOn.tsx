import { Square } from 'lucide-react';
import { useState } from 'react';
import type { RunView, StudioError } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { Switch } from '../../parts/Inputs.tsx';
import parts from '../../parts/parts.module.css';
import { asStudioError, engine } from '../../stores/connection.ts';
import { useWriting } from '../../stores/writing.ts';
import styles from './result.module.css';

const sliders = [
  { key: 'temperature', label: 'Temperature', min: 0, max: 1.5, step: 0.05 },
  { key: 'topP', label: 'Top p', min: 0.05, max: 1, step: 0.05 },
  { key: 'tokens', label: 'Tokens', min: 8, max: 256, step: 8 },
] as const;

/** A box to begin a text in: how the model goes on with the adapter, and how without it. */
export function WriteOn({ run }: { run: RunView }) {
  const written = useWriting((s) => s.written[run.id]);
  const [prompt, setPrompt] = useState('');
  const [chat, setChat] = useState(false);
  const [values, setValues] = useState({ temperature: 0.8, topP: 0.95, tokens: 64 });
  const [seed, setSeed] = useState(1);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<StudioError | null>(null);
  const write = async () => {
    setBusy(true);
    setError(null);
    useWriting.setState(({ written: all }) => {
      const { [run.id]: _, ...rest } = all;
      return { written: rest };
    });
    try {
      const done = await engine().write(run.id, { prompt: prompt.trim(), chat, ...values, seed });
      useWriting.setState(({ written: all }) => ({ written: { ...all, [run.id]: done } }));
    } catch (thrown) {
      setError(asStudioError(thrown));
    }
    setBusy(false);
  };
  return (
    <section className={styles['try']} aria-label="Try it" data-testid="write-box">
      <div className={styles['tryHead']}>
        <h2>Try it</h2>
        <p className={styles['quiet']}>
          Begin a text, or ask; it is written on with the adapter and without.
        </p>
      </div>
      <form
        className={styles['tryText']}
        onSubmit={(event) => {
          event.preventDefault();
          if (prompt.trim() && !busy) void write();
        }}
      >
        <textarea
          className={parts['field']}
          aria-label="Text to write on"
          value={prompt}
          onChange={(event) => setPrompt(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.metaKey || event.ctrlKey) && prompt.trim() && !busy)
              void write();
          }}
          data-testid="write-prompt"
        />
        <div className={styles['writeKnobs']}>
          {sliders.map(({ key, label, min, max, step }) => (
            <label key={key}>
              <span>
                {label} <output>{values[key]}</output>
              </span>
              <input
                type="range"
                min={min}
                max={max}
                step={step}
                value={values[key]}
                onChange={(event) => setValues({ ...values, [key]: Number(event.target.value) })}
                data-testid={`write-${key}`}
              />
            </label>
          ))}
          <label>
            <span>Seed</span>
            <input
              className={parts['field']}
              type="number"
              min={0}
              step={1}
              value={seed}
              onChange={(event) => setSeed(Math.max(0, Math.round(Number(event.target.value))))}
            />
          </label>
          <div className={styles['asChat']}>
            <span id="as-chat">As a question, by the chat template</span>
            <Switch
              label="As a question, by the chat template"
              checked={chat}
              onChange={setChat}
              testId="write-chat"
            />
          </div>
        </div>
        <div>
          {busy ? (
            <Button type="button" size="small" onClick={() => void engine().cancel('write')}>
              <Square aria-hidden /> Stop
            </Button>
          ) : (
            <Button
              type="submit"
              size="small"
              aria-disabled={prompt.trim() === ''}
              data-testid="write-submit"
            >
              Write
            </Button>
          )}
          <span className={styles['quiet']}>Ctrl or ⌘ and Enter does the same.</span>
        </div>
      </form>
      {error && <ErrorNote error={error} onDismiss={() => setError(null)} />}
      {(busy || written) && (
        <div className={styles['pair']} aria-live="polite">
          <Text title="With the adapter" text={written?.withAdapter ?? ''} testId="written-with" />
          <Text title="Frozen model alone" text={written?.withoutAdapter ?? ''} testId="written-without" />
        </div>
      )}
    </section>
  );
}

function Text({ title, text, testId }: { title: string; text: string; testId: string }) {
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <p className={styles['written']} data-testid={testId}>
        {text || '…'}
      </p>
    </section>
  );
}
