import {
  Box,
  Columns3,
  Database,
  Download,
  History,
  MoreHorizontal,
  Pencil,
  Play,
  Sprout,
  Trash2,
} from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { RunView } from '../../workers/protocol.ts';
import { undoable } from '../actions/undoable.ts';
import { IconButton } from '../parts/Button.tsx';
import { NameField } from '../parts/Inputs.tsx';
import { Menu } from '../parts/Overlays.tsx';
import { downloadAdapter } from '../steps/result/download.ts';
import { isFinished, showComparison } from '../stores/compare.ts';
import { learnsClasses, removeDataset, useData } from '../stores/data.ts';
import { litRun, useHover } from '../stores/hover.ts';
import { useMachine } from '../stores/machine.ts';
import { choose, chooseDataset, usePlan } from '../stores/plan.ts';
import { canResume, hasResult, remove, rename, resume, select, useRuns } from '../stores/runs.ts';
import { go, useView } from '../stores/view.ts';
import { bytes, moment, percent, plural, sampleNoun } from '../text/format.ts';
import { stateWord } from '../text/runState.ts';
import styles from './library.module.css';
import { Queue } from './Queue.tsx';

const matches = (filter: string, ...texts: string[]) =>
  texts.some((text) => text.toLowerCase().includes(filter.trim().toLowerCase()));

/** The left list: everything that was made or brought here. */
export function Library() {
  const filter = useView((s) => s.filter);
  return (
    <div className={styles['library']}>
      <input
        type="search"
        className={styles['search']}
        placeholder="Search"
        aria-label="Search runs and data sets"
        aria-keyshortcuts="/"
        data-testid="search"
        value={filter}
        onChange={(event) => useView.setState({ filter: event.target.value })}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          useView.setState({ filter: '' });
          event.currentTarget.blur();
        }}
      />
      <Queue />
      <Runs filter={filter} />
      <Datasets filter={filter} />
      <Adapters filter={filter} />
      <Backbones filter={filter} />
    </div>
  );
}

function Section({
  title,
  icon,
  empty,
  foot,
  children,
}: {
  title: string;
  icon: ReactNode;
  empty?: string | false;
  foot?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className={styles['section']} aria-label={title}>
      <h2>
        {icon}
        {title}
      </h2>
      {empty ? <p className={styles['empty']}>{empty}</p> : <ul>{children}</ul>}
      {foot}
    </section>
  );
}

function runFigure(run: RunView): string {
  if (run.test) return percent(run.test.accuracy);
  if (run.state === 'running' || run.state === 'preparing' || run.state === 'paused')
    return run.progress.total > 0 ? percent(run.progress.done / run.progress.total, 0) : '';
  return run.best ? percent(run.best.accuracy) : '';
}

function Runs({ filter }: { filter: string }) {
  const all = useRuns((s) => s.runs);
  const runs = all.filter(
    (run) =>
      run.state !== 'imported' &&
      run.state !== 'queued' &&
      matches(filter, run.name, run.datasetName, run.plan.method),
  );
  return (
    <Section
      title="Runs"
      icon={<History aria-hidden />}
      empty={runs.length === 0 && (all.length > 0 && filter ? 'Nothing matches.' : 'Nothing trained yet.')}
      foot={
        all.some(isFinished) && (
          <button
            type="button"
            className={styles['compare']}
            data-testid="compare-open"
            onClick={showComparison}
          >
            <Columns3 aria-hidden /> Compare
          </button>
        )
      }
    >
      {runs.map((run) => (
        <RunRow key={run.id} run={run} />
      ))}
    </Section>
  );
}

function RunRow({ run }: { run: RunView }) {
  const selected = useRuns((s) => s.selected === run.id);
  const lit = useHover((s) => litRun(s) === run.id);
  const [editing, setEditing] = useState(false);
  const open = () => {
    select(run.id);
    go(hasResult(run) ? 'result' : 'train');
  };
  return (
    <li
      className={styles['row']}
      data-selected={selected || undefined}
      data-lit={lit || undefined}
      data-testid={`run-${run.id}`}
      data-state={run.state}
      onPointerEnter={() => useHover.setState({ run: run.id })}
      onPointerLeave={() => useHover.setState({ run: null })}
    >
      {editing ? (
        <div className={styles['edit']}>
          <NameField
            label={`Name of ${run.name}`}
            value={run.name}
            onCommit={(name) => void rename(run.id, name)}
            onLeave={() => setEditing(false)}
          />
        </div>
      ) : (
        <button type="button" className={styles['open']} aria-current={selected || undefined} onClick={open}>
          <span className={styles['name']}>{run.name}</span>
          <span className={styles['figure']}>{runFigure(run)}</span>
          <span className={styles['sub']}>
            <i className={styles['state']} data-state={run.state} aria-hidden="true" />
            {stateWord(run.state)} · {moment(run.createdAt)}
          </span>
        </button>
      )}
      {run.state === 'interrupted' && (
        <IconButton
          small
          label={`Resume ${run.name}`}
          onClick={() => {
            select(run.id);
            go('train');
            void resume(run.id);
          }}
        >
          <Play aria-hidden />
        </IconButton>
      )}
      <RunMenu run={run} onRename={() => setEditing(true)} />
    </li>
  );
}

function RunMenu({ run, onRename }: { run: RunView; onRename: () => void }) {
  return (
    <Menu
      label={run.name}
      trigger={
        <IconButton small className={styles['more']} label={`More for ${run.name}`}>
          <MoreHorizontal aria-hidden />
        </IconButton>
      }
      entries={[
        ...(canResume(run)
          ? [{ label: 'Resume', icon: <Play aria-hidden />, perform: () => void resume(run.id) }]
          : []),
        { label: 'Rename', icon: <Pencil aria-hidden />, focuses: true, perform: onRename },
        ...(hasResult(run)
          ? [
              {
                label: 'Download',
                icon: <Download aria-hidden />,
                perform: () => void downloadAdapter(run.id),
              },
            ]
          : []),
        {
          label: 'Remove',
          icon: <Trash2 aria-hidden />,
          perform: async () => {
            const restore = await remove(run.id);
            if (restore) undoable(`Removed ${run.name}`, restore);
          },
        },
      ]}
    />
  );
}

function Datasets({ filter }: { filter: string }) {
  const current = usePlan((s) => s.dataset);
  const datasets = useData((s) => s.datasets).filter((d) =>
    matches(filter, d.name, ...d.classes.map((c) => c.name)),
  );
  return (
    <Section title="Data sets" icon={<Database aria-hidden />} empty={datasets.length === 0 && 'None yet.'}>
      {datasets.map((d) => (
        <li
          key={d.id}
          className={styles['row']}
          data-selected={d.id === current || undefined}
          data-testid={`dataset-${d.id}`}
        >
          <button
            type="button"
            className={styles['open']}
            aria-current={d.id === current || undefined}
            onClick={() => {
              chooseDataset(d);
              go('data');
            }}
          >
            <span className={styles['name']}>{d.name}</span>
            <span className={styles['sub']}>
              {plural(d.counts.train + d.counts.val + d.counts.test, sampleNoun[d.kind])}
              {learnsClasses(d) && ` · ${plural(d.classes.length, 'class', 'classes')}`}
            </span>
          </button>
          <Menu
            label={d.name}
            trigger={
              <IconButton small className={styles['more']} label={`More for ${d.name}`}>
                <MoreHorizontal aria-hidden />
              </IconButton>
            }
            entries={[
              {
                label: 'Remove',
                icon: <Trash2 aria-hidden />,
                perform: async () => {
                  const restore = await removeDataset(d.id);
                  if (restore) undoable(`Removed ${d.name}`, restore);
                },
              },
            ]}
          />
        </li>
      ))}
    </Section>
  );
}

function Adapters({ filter }: { filter: string }) {
  const runs = useRuns((s) => s.runs).filter((run) => run.state === 'imported' && matches(filter, run.name));
  return (
    <Section
      title="Adapters"
      icon={<Sprout aria-hidden />}
      empty={runs.length === 0 && 'Drop an adapter’s zip to open it.'}
    >
      {runs.map((run) => (
        <RunRow key={run.id} run={run} />
      ))}
    </Section>
  );
}

function Backbones({ filter }: { filter: string }) {
  const backbones = (useMachine((s) => s.catalogue)?.backbones ?? []).filter((b) =>
    matches(filter, b.title, b.family),
  );
  const current = usePlan((s) => s.backbone);
  return (
    <Section title="Backbones" icon={<Box aria-hidden />} empty={backbones.length === 0 && 'Opening…'}>
      {backbones.map((b) => (
        <li key={b.id} className={styles['row']} data-selected={b.id === current || undefined}>
          <button
            type="button"
            className={styles['open']}
            aria-current={b.id === current || undefined}
            onClick={() => {
              choose({ backbone: b.id });
              go('backbone');
            }}
          >
            <span className={styles['name']}>{b.title}</span>
            <span className={styles['sub']}>{bytes(b.bytes)}</span>
          </button>
        </li>
      ))}
    </Section>
  );
}
