import { X } from 'lucide-react';
import { useRef, useState } from 'react';
import type { DatasetView, StudioError } from '../../../workers/protocol.ts';
import { Button, IconButton } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import parts from '../../parts/parts.module.css';
import { asStudioError } from '../../stores/connection.ts';
import { addSound } from '../../stores/data.ts';
import { length, plural } from '../../text/format.ts';
import { useCapture } from './capture.ts';
import styles from './data.module.css';
import { RECORDED_RATE, record, useMicrophone } from './recording.ts';

/** Shorter presses are slips of the finger. */
const LEAST_SECONDS = 0.1;

/** Hold to record: what is heard while the button is held becomes one sound of the class by name. */
export function Microphone({ dataset }: { dataset: DatasetView | null }) {
  const own = dataset?.kind === 'audio' ? dataset : null;
  const { className } = useCapture();
  const { stream, state, error, retry } = useMicrophone();
  const [failed, setFailed] = useState<StudioError | null>(null);
  const [taken, setTaken] = useState({ sounds: 0, seconds: 0 });
  const recording = useRef<(() => Promise<Float32Array>) | null>(null);
  const [held, setHeld] = useState(false);
  const name = className.trim() || (own?.classes[0]?.name ?? 'class 1');
  const press = () => {
    if (!stream.current || recording.current) return;
    recording.current = record(stream.current);
    setHeld(true);
  };
  const release = async () => {
    const finish = recording.current;
    recording.current = null;
    setHeld(false);
    if (!finish) return;
    try {
      const samples = await finish();
      const seconds = samples.length / RECORDED_RATE;
      if (seconds < LEAST_SECONDS) return;
      if (await addSound(own?.id ?? null, name, samples, RECORDED_RATE))
        setTaken((t) => ({ sounds: t.sounds + 1, seconds: t.seconds + seconds }));
    } catch (thrown) {
      setFailed(asStudioError(thrown));
    }
  };
  const trouble = error ?? failed;
  return (
    <section className={styles['webcam']} aria-label="Microphone" data-testid="microphone">
      <div className={styles['webcamSide']}>
        <div className={styles['webcamHead']}>
          <h2>Record into a class</h2>
          <IconButton label="Close the microphone" onClick={() => useCapture.setState({ open: false })}>
            <X aria-hidden />
          </IconButton>
        </div>
        {trouble && (
          <ErrorNote error={trouble}>
            <Button
              size="small"
              onClick={() => {
                setFailed(null);
                if (error) retry();
              }}
            >
              Try again
            </Button>
          </ErrorNote>
        )}
        {!error && (
          <>
            <label className={styles['webcamField']}>
              <span>Class</span>
              <input
                className={parts['field']}
                list="record-classes"
                value={className}
                placeholder={name}
                onChange={(event) => useCapture.setState({ className: event.target.value })}
              />
            </label>
            <datalist id="record-classes">
              {own?.classes.map((c) => (
                <option key={c.index} value={c.name} />
              ))}
            </datalist>
            <Button
              look="primary"
              disabled={state !== 'open'}
              onPointerDown={press}
              onPointerUp={() => void release()}
              onPointerCancel={() => void release()}
              onPointerLeave={() => void release()}
              onBlur={() => void release()}
              onKeyDown={(event) => (event.key === ' ' || event.key === 'Enter') && press()}
              onKeyUp={() => void release()}
              onContextMenu={(event) => event.preventDefault()}
            >
              {held ? `Recording into ${name}` : 'Hold to record'}
            </Button>
            <p className={styles['quiet']} role="status">
              {state === 'asking'
                ? 'Waiting for the microphone.'
                : `${plural(taken.sounds, 'sound')} recorded, ${length(taken.seconds)}.`}
            </p>
          </>
        )}
      </div>
    </section>
  );
}
