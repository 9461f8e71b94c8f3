import { FileUp, FolderUp, Mic, Video } from 'lucide-react';
import { perform } from '../../actions/index.ts';
import { Button } from '../../parts/Button.tsx';
import { openSample } from '../../stores/data.ts';
import { useMachine } from '../../stores/machine.ts';
import { backboneOf, formOf, settingsOf, usePlan } from '../../stores/plan.ts';
import { count } from '../../text/format.ts';
import { targeted } from '../../text/targets.ts';
import { Network } from '../backbone/Network.tsx';
import { openCapture } from './capture.ts';
import styles from './data.module.css';

const nouns = { image: 'pictures', audio: 'sounds', text: 'texts' } as const;

/** The first screen: what may be dropped, one sample to try, and the backbone that stands ready. */
export function Invitation() {
  const { catalogue, status } = useMachine();
  const samples = catalogue?.samples ?? [];
  return (
    <div className={styles['invitation']}>
      <div className={styles['invite']} data-testid="invitation">
        <h1>
          Drop a folder of pictures or sounds, or a table of texts
          {samples.length > 0 ? ', or try one of these.' : '.'}
        </h1>
        <p>
          Pictures and sounds: one folder a class, a zip, or loose files with a CSV of labels. Texts: CSV,
          JSON, Parquet or TXT. An adapter made here works too. Nothing leaves this machine.
        </p>
        <div className={styles['inviteButtons']}>
          <Button onClick={() => perform('open-folder')}>
            <FolderUp aria-hidden /> Choose a folder
          </Button>
          <Button onClick={() => perform('open-files')}>
            <FileUp aria-hidden /> Choose files
          </Button>
          <Button onClick={() => openCapture('image')}>
            <Video aria-hidden /> Webcam
          </Button>
          <Button onClick={() => openCapture('audio')}>
            <Mic aria-hidden /> Microphone
          </Button>
        </div>
      </div>
      <ul className={styles['samples']}>
        {samples.map((sample) => (
          <li key={sample.id}>
            <div>
              <h2>{sample.title}</h2>
              <p>{sample.about}</p>
              <p className={styles['quiet']}>
                {count(sample.count)} {nouns[sample.kind]}, {sample.classes} classes, {sample.licence}
              </p>
            </div>
            <Button
              {...(sample === samples[0] && { look: 'primary' })}
              data-testid={`sample-${sample.id}`}
              aria-disabled={status !== 'ready'}
              onClick={() => void openSample(sample.id)}
            >
              Try {sample.title}
            </Button>
          </li>
        ))}
      </ul>
      <Ready />
    </div>
  );
}

/** The default backbone, drawn: grey is frozen, the accent is where the method will learn. */
function Ready() {
  const catalogue = useMachine((s) => s.catalogue);
  const plan = usePlan();
  const backbone = backboneOf(catalogue, plan.backbone);
  if (!backbone) return <div className={styles['ready']} aria-hidden="true" />;
  const knob = formOf(catalogue, plan).find((s) => s.kind === 'modules');
  const targets = (knob && settingsOf(plan)[knob.key]) ?? knob?.default;
  const list = Array.isArray(targets) ? targets : [];
  const learning = targeted(backbone, list).length;
  return (
    <section className={styles['ready']} aria-label="Backbone">
      <h2>{backbone.title} stands ready</h2>
      <p className={styles['quiet']}>
        {backbone.modules.length} frozen modules
        {learning > 0 ? `; the method will learn beside ${learning} of them` : ''}.
      </p>
      <Network backbone={backbone} targets={list} />
    </section>
  );
}
