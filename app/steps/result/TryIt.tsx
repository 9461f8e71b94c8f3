import { Camera, ImagePlus } from 'lucide-react';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Prediction, RunView, StudioError } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { useBlobUrl } from '../../parts/hooks.ts';
import { asStudioError, engine } from '../../stores/connection.ts';
import { useMachine } from '../../stores/machine.ts';
import { backboneOf } from '../../stores/plan.ts';
import { percent } from '../../text/format.ts';
import { frame, useCamera } from '../data/camera.ts';
import styles from './result.module.css';
import { TryText } from './TryText.tsx';
import { WriteOn } from './WriteOn.tsx';

const takes = {
  image: (file: File) => /^image\//.test(file.type) || /\.(png|jpe?g|webp|gif|bmp|avif)$/i.test(file.name),
  audio: (file: File) => /^audio\//.test(file.type) || /\.(wav|flac|mp3|ogg|oga)$/i.test(file.name),
} as const;

type Kind = keyof typeof takes;
const nouns = { image: 'picture', audio: 'sound' } as const;

/** A sample of what the adapter reads: what is said with it, and without. */
export function TryIt({ run }: { run: RunView }) {
  const catalogue = useMachine((s) => s.catalogue);
  const modality = backboneOf(catalogue, run.plan.backbone)?.modality ?? 'image';
  if (run.plan.task === 'causal-lm') return <WriteOn run={run} />;
  // What fills gaps has nothing to say of a text as a whole.
  if (run.plan.task === 'masked-lm') return null;
  return modality === 'text' ? <TryText run={run} /> : <TryFile run={run} kind={modality} />;
}

/** Any picture or sound, by drop, paste, file or camera: what is said with the adapter, and without. */
function TryFile({ run, kind }: { run: RunView; kind: Kind }) {
  const [prediction, setPrediction] = useState<Prediction | null>(null);
  const [error, setError] = useState<StudioError | null>(null);
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const [camera, setCamera] = useState(false);
  const input = useRef<HTMLInputElement | null>(null);
  const asked = useRef(0);
  const predict = useCallback(
    async (picture: Blob) => {
      const mine = ++asked.current;
      setBusy(true);
      try {
        const said = await engine().predict(run.id, picture);
        if (mine !== asked.current) return;
        setPrediction(said);
        setError(null);
      } catch (thrown) {
        if (mine === asked.current) setError(asStudioError(thrown));
      }
      if (mine === asked.current) setBusy(false);
    },
    [run.id],
  );
  usePaste(predict, kind);
  return (
    <section
      className={styles['try']}
      aria-label="Try it"
      data-over={over || undefined}
      data-testid="try-box"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        const picture = [...event.dataTransfer.files].find(takes[kind]);
        // Anything else is for the page: a folder, a zip, an adapter.
        if (!picture || event.dataTransfer.files.length > 1) return;
        event.preventDefault();
        void predict(picture);
      }}
    >
      <div className={styles['tryHead']}>
        <h2>Try it</h2>
        <p className={styles['quiet']}>Drop or paste a {nouns[kind]} here.</p>
        <div>
          <Button size="small" onClick={() => input.current?.click()}>
            <ImagePlus aria-hidden /> Choose
          </Button>
          {kind === 'image' && (
            <Button size="small" aria-pressed={camera} onClick={() => setCamera(!camera)}>
              <Camera aria-hidden /> {camera ? 'Close the camera' : 'Camera'}
            </Button>
          )}
        </div>
        <input
          ref={input}
          type="file"
          accept={`${kind}/*`}
          hidden
          aria-label={kind === 'audio' ? 'Sound to try' : 'Picture to try'}
          data-testid="try-input"
          onChange={(event) => {
            const picture = event.target.files?.[0];
            event.target.value = '';
            if (picture) void predict(picture);
          }}
        />
      </div>
      {camera && <Live predict={predict} />}
      {error && <ErrorNote error={error} onDismiss={() => setError(null)} />}
      <Said prediction={prediction} busy={busy} names={run.classes} />
    </section>
  );
}

function usePaste(predict: (sample: Blob) => Promise<void>, kind: Kind): void {
  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length !== 1 || !takes[kind](files[0]!)) return;
      event.preventDefault();
      void predict(files[0]!);
    };
    // Before the page's own listener, which leaves alone what is already taken.
    window.addEventListener('paste', paste, true);
    return () => window.removeEventListener('paste', paste, true);
  }, [predict, kind]);
}

/** The camera's present picture, again as soon as the last one was answered. */
function Live({ predict }: { predict: (picture: Blob) => Promise<void> }) {
  const { video, state, error, retry } = useCamera(true);
  useEffect(() => {
    if (state !== 'open') return;
    let running = true;
    const loop = async () => {
      while (running) {
        const picture = video.current && (await frame(video.current));
        if (picture && running) await predict(picture);
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
    };
    void loop();
    return () => {
      running = false;
    };
  }, [state, predict, video]);
  if (error)
    return (
      <ErrorNote error={error}>
        <Button size="small" onClick={retry}>
          Try again
        </Button>
      </ErrorNote>
    );
  return <video ref={video} className={styles['camera']} muted playsInline aria-label="Camera" />;
}

interface SaidProps {
  prediction: Prediction | null;
  busy: boolean;
  names: string[];
  /** Without a place for the picture. */
  text?: boolean;
}

const MOST = 8;

/** Bars with and without, the same classes in the same order: those most likely with the adapter. */
export function Said({ prediction, busy, names, text }: SaidProps) {
  const url = useBlobUrl(prediction?.thumbnail);
  const classes = prediction?.classes ?? names;
  const order = classes.map((_, i) => i);
  if (prediction) order.sort((a, b) => prediction.withAdapter[b]! - prediction.withAdapter[a]!);
  const without = prediction?.withoutAdapter ?? null;
  return (
    <div className={styles['said']} aria-busy={busy} data-text={text || undefined}>
      {!text && (
        <div className={styles['tried']}>
          {url ? <img src={url} alt="The one tried" /> : <ImagePlus aria-hidden />}
        </div>
      )}
      <table data-testid="prediction" data-top={prediction ? classes[order[0]!] : undefined}>
        <thead>
          <tr>
            <th scope="col">Class</th>
            <th scope="col">With the adapter</th>
            <th scope="col">Without{prediction && !without && ': no probe in this file'}</th>
          </tr>
        </thead>
        <tbody>
          {order.slice(0, MOST).map((i) => (
            <tr key={classes[i]}>
              <th scope="row">{classes[i]}</th>
              <Bar value={prediction?.withAdapter[i] ?? null} colour="var(--accent)" />
              <Bar value={without?.[i] ?? null} colour="var(--frozen-3)" />
            </tr>
          ))}
        </tbody>
      </table>
      <p className={styles['caption']} role="status">
        {prediction
          ? `${classes[order[0]!]}, ${percent(prediction.withAdapter[order[0]!]!)}, in ${Math.round(prediction.ms)} ms`
          : ''}
      </p>
    </div>
  );
}

function Bar({ value, colour }: { value: number | null; colour: string }) {
  return (
    <td>
      <span className={styles['bar']}>
        {value !== null && <i style={{ width: `${value * 100}%`, background: colour }} />}
      </span>
      <span className={styles['barValue']}>{value === null ? '' : percent(value)}</span>
    </td>
  );
}
