import { FileUp, FolderUp, Mic, Plus, Undo2, Video } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { DatasetView, Rejected } from '../../../workers/protocol.ts';
import { perform } from '../../actions/index.ts';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { ProgressLine } from '../../parts/ProgressLine.tsx';
import parts from '../../parts/parts.module.css';
import { save } from '../../parts/save.ts';
import { engine } from '../../stores/connection.ts';
import { edit, learnsClasses, undoEdit, useData } from '../../stores/data.ts';
import { useMachine } from '../../stores/machine.ts';
import { usePlan } from '../../stores/plan.ts';
import { csv } from '../../text/csv.ts';
import { bytes, plural, sampleNoun } from '../../text/format.ts';
import { Columns } from './Columns.tsx';
import { openCapture, useCapture } from './capture.ts';
import styles from './data.module.css';
import { Invitation } from './Invitation.tsx';
import { Microphone } from './Microphone.tsx';
import { NeighbourChip } from './NeighbourChip.tsx';
import { SplitEditor } from './SplitEditor.tsx';
import { Texts } from './Texts.tsx';
import { Understood } from './Understood.tsx';
import { Wall } from './Wall.tsx';
import { Webcam } from './Webcam.tsx';

export function DataStage() {
  const chosen = usePlan((s) => s.dataset);
  const shown = useData((s) => s.datasets.find((d) => d.id === chosen) ?? null);
  const capturing = useCapture((s) => s.open);
  const device = useCapture((s) => s.device);
  return (
    <div className={styles['stage']}>
      <Messages />
      {capturing && (device === 'microphone' ? <Microphone dataset={shown} /> : <Webcam dataset={shown} />)}
      {shown ? <Dataset key={shown.id} dataset={shown} /> : !capturing && <Invitation />}
    </div>
  );
}

/** What the last drop was, what went wrong with it, and a drop that is still being read. */
function Messages() {
  const error = useData((s) => s.error);
  const importing = useMachine((s) => s.jobs['import']);
  return (
    <>
      {importing && (
        <div className={styles['importing']} data-testid="importing">
          <ProgressLine progress={importing} />
          <Button size="small" onClick={() => void engine().cancel('import')}>
            Stop, keep what was read
          </Button>
        </div>
      )}
      {error && <ErrorNote error={error} onDismiss={() => useData.setState({ error: null })} />}
      <NothingFound />
      <Understood kind="dataset" />
    </>
  );
}

/** A drop in which nothing could be used, and every file's reason. */
function NothingFound() {
  const understood = useData((s) => s.understood);
  if (understood?.kind !== 'nothing') return null;
  return (
    <>
      <ErrorNote
        error={{
          name: 'NothingFound',
          message: understood.sentence,
          advice:
            'Pictures and sounds are taken as one folder a class, as a zip of that, or with a CSV of file and label; texts as a CSV, JSON, Parquet or TXT file with a column of labels.',
        }}
        onDismiss={() => useData.setState({ understood: null })}
      />
      <RejectedList rejected={understood.rejected} />
    </>
  );
}

function Dataset({ dataset }: { dataset: DatasetView }) {
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  // An edit renumbers the classes, so what was ticked no longer names them.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the data set changed.
  useEffect(() => setChosen(new Set()), [dataset.hash]);
  const Samples = dataset.kind === 'text' ? Texts : Wall;
  const images = dataset.counts.train + dataset.counts.val + dataset.counts.test;
  return (
    <>
      <header className={styles['head']}>
        <div className={styles['title']}>
          <h1 data-testid="dataset-name">{dataset.name}</h1>
          <p>
            {plural(images, sampleNoun[dataset.kind])}
            {learnsClasses(dataset) && ` in ${plural(dataset.classes.length, 'class', 'classes')}`},{' '}
            {bytes(dataset.bytes)}
          </p>
          <NeighbourChip dataset={dataset} />
        </div>
        <div className={styles['tools']}>
          <Button size="small" onClick={() => perform('open-folder')}>
            <FolderUp aria-hidden /> Folder
          </Button>
          <Button size="small" onClick={() => perform('open-files')}>
            <FileUp aria-hidden /> Files
          </Button>
          {dataset.kind !== 'text' && (
            <Button size="small" onClick={() => openCapture(dataset.kind)}>
              {dataset.kind === 'audio' ? <Mic aria-hidden /> : <Video aria-hidden />}
              {dataset.kind === 'audio' ? 'Microphone' : 'Webcam'}
            </Button>
          )}
          <Button
            size="small"
            onClick={() => void edit(dataset.id, { kind: 'add-class', name: freshName(dataset) })}
          >
            <Plus aria-hidden /> Class
          </Button>
          <Button
            size="small"
            disabled={!dataset.canUndo}
            onClick={() => void undoEdit(dataset.id)}
            data-testid="undo"
          >
            <Undo2 aria-hidden /> Undo
          </Button>
        </div>
      </header>
      {dataset.table && <Columns dataset={dataset} table={dataset.table} />}
      <SplitEditor dataset={dataset} />
      {dataset.notes.length > 0 && (
        <ul className={styles['notes']}>
          {dataset.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      <RejectedList rejected={dataset.rejected} noun={dataset.table ? 'line' : 'file'} />
      {chosen.size >= 2 && <Merge dataset={dataset} indices={[...chosen].sort((a, b) => a - b)} />}
      <Samples
        dataset={dataset}
        chosen={chosen}
        onChoose={(index, on) =>
          setChosen((before) => {
            const after = new Set(before);
            if (on) after.add(index);
            else after.delete(index);
            return after;
          })
        }
      />
    </>
  );
}

function freshName(dataset: DatasetView): string {
  const taken = new Set(dataset.classes.map((c) => c.name));
  let n = dataset.classes.length + 1;
  while (taken.has(`class ${n}`)) n++;
  return `class ${n}`;
}

function Merge({ dataset, indices }: { dataset: DatasetView; indices: number[] }) {
  const names = indices.map((i) => dataset.classes.find((c) => c.index === i)?.name ?? '');
  const [name, setName] = useState<string | null>(null);
  return (
    <form
      className={styles['merge']}
      onSubmit={(event) => {
        event.preventDefault();
        void edit(dataset.id, { kind: 'merge-classes', indices, name: name?.trim() || names[0]! });
      }}
    >
      <label>
        Merge {names.join(', ')} as{' '}
        <input
          className={parts['field']}
          value={name ?? names[0]}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <Button type="submit" size="small">
        Merge
      </Button>
    </form>
  );
}

const SHOWN = 200;

/** Every file that was left out, by name, with why. */
export function RejectedList({ rejected, noun = 'file' }: { rejected: Rejected[]; noun?: string }) {
  if (rejected.length === 0) return null;
  const all = () => csv([['file', 'reason'], ...rejected.map((r) => [r.path, r.reason])]);
  return (
    <details className={styles['rejected']} data-testid="rejected">
      <summary>{plural(rejected.length, noun)} left out</summary>
      <ul>
        {rejected.slice(0, SHOWN).map((r) => (
          <li key={r.path}>
            <span>{r.path}</span>
            <span>{r.reason}</span>
          </li>
        ))}
      </ul>
      <Button size="small" onClick={() => save('left-out.csv', all(), 'text/csv')}>
        {rejected.length > SHOWN ? `All ${rejected.length} as CSV` : 'As CSV'}
      </Button>
    </details>
  );
}
