import { X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { DatasetView } from '../../../workers/protocol.ts';
import { Button, IconButton } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import parts from '../../parts/parts.module.css';
import { addSample } from '../../stores/data.ts';
import { plural } from '../../text/format.ts';
import { frame, useCamera } from './camera.ts';
import { useCapture } from './capture.ts';
import styles from './data.module.css';

const BETWEEN_MS = 200;

/** Hold to capture: five pictures a second go into the class by name, as long as the button is held. */
export function Webcam({ dataset }: { dataset: DatasetView | null }) {
  const { className } = useCapture();
  const { video, state, error, retry } = useCamera(true);
  const [taken, setTaken] = useState(0);
  const [held, setHeld] = useState(false);
  const name = className.trim() || (dataset?.classes[0]?.name ?? 'class 1');
  const target = useRef<string | null>(dataset?.id ?? null);
  target.current = dataset?.id ?? null;
  useEffect(() => {
    if (!held) return;
    let running = true;
    const loop = async () => {
      while (running) {
        const began = performance.now();
        const picture = video.current && (await frame(video.current));
        const grown = picture && (await addSample(target.current, name, picture));
        if (grown) {
          target.current = grown.id;
          setTaken((n) => n + 1);
        }
        await new Promise((resolve) =>
          setTimeout(resolve, Math.max(0, BETWEEN_MS - (performance.now() - began))),
        );
      }
    };
    void loop();
    return () => {
      running = false;
    };
  }, [held, name, video]);
  const release = () => setHeld(false);
  return (
    <section className={styles['webcam']} aria-label="Webcam" data-testid="webcam">
      <video ref={video} muted playsInline data-open={state === 'open' || undefined} aria-label="Camera" />
      <div className={styles['webcamSide']}>
        <div className={styles['webcamHead']}>
          <h2>Capture into a class</h2>
          <IconButton label="Close the webcam" onClick={() => useCapture.setState({ open: false })}>
            <X aria-hidden />
          </IconButton>
        </div>
        {error ? (
          <ErrorNote error={error}>
            <Button size="small" onClick={retry}>
              Try again
            </Button>
          </ErrorNote>
        ) : (
          <>
            <label className={styles['webcamField']}>
              <span>Class</span>
              <input
                className={parts['field']}
                list="capture-classes"
                value={className}
                placeholder={name}
                onChange={(event) => useCapture.setState({ className: event.target.value })}
              />
            </label>
            <datalist id="capture-classes">
              {dataset?.classes.map((c) => (
                <option key={c.index} value={c.name} />
              ))}
            </datalist>
            <Button
              look="primary"
              disabled={state !== 'open'}
              onPointerDown={() => setHeld(true)}
              onPointerUp={release}
              onPointerCancel={release}
              onPointerLeave={release}
              onBlur={release}
              onKeyDown={(event) => (event.key === ' ' || event.key === 'Enter') && setHeld(true)}
              onKeyUp={release}
              onContextMenu={(event) => event.preventDefault()}
            >
              {held ? `Capturing into ${name}` : 'Hold to capture'}
            </Button>
            <p className={styles['quiet']} role="status">
              {state === 'asking' ? 'Waiting for the camera.' : `${plural(taken, 'picture')} captured.`}
            </p>
          </>
        )}
      </div>
    </section>
  );
}
