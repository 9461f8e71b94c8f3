import { useState } from 'react';
import type { DatasetView } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { Switch } from '../../parts/Inputs.tsx';
import { edit } from '../../stores/data.ts';
import { count, percent } from '../../text/format.ts';
import styles from './data.module.css';
import { SplitBar } from './Wall.tsx';

const SPLITS = ['train', 'val', 'test'] as const;
const NAMES = { train: 'train', val: 'validation', test: 'test' };

/** The split as numbers and a bar, and the fields that change it. */
export function SplitEditor({ dataset }: { dataset: DatasetView }) {
  const [open, setOpen] = useState(false);
  const all = dataset.counts.train + dataset.counts.val + dataset.counts.test;
  const set = (change: Partial<DatasetView['split']>) =>
    void edit(dataset.id, { kind: 'set-split', ...dataset.split, ...change });
  const { split } = dataset;
  return (
    <section className={styles['split']} aria-label="Split">
      <div className={styles['splitLine']}>
        <SplitBar counts={dataset.counts} />
        <ul>
          {SPLITS.map((name) => (
            <li key={name}>
              <i data-split={name} aria-hidden="true" />
              {NAMES[name]} {count(dataset.counts[name])}
              <small>{percent(dataset.counts[name] / Math.max(1, all), 0)}</small>
            </li>
          ))}
        </ul>
        <Button size="small" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? 'Done' : 'Change the split'}
        </Button>
      </div>
      {open && (
        <div className={styles['splitForm']}>
          <Percent
            label="Validation"
            value={split.val}
            most={0.9 - split.test}
            onCommit={(val) => set({ val })}
          />
          <Percent
            label="Test"
            value={split.test}
            most={0.9 - split.val}
            onCommit={(test) => set({ test })}
          />
          <label>
            <span>Drawn with seed</span>
            <input
              type="number"
              min={0}
              key={split.seed}
              defaultValue={split.seed}
              onBlur={(event) => {
                const seed = Math.max(0, Math.round(Number(event.target.value)));
                if (seed !== split.seed) set({ seed });
              }}
            />
          </label>
          <div className={styles['splitSwitch']}>
            <Switch
              label="Use the folders train, val and test"
              checked={split.fromFolders}
              onChange={(fromFolders) => set({ fromFolders })}
            />
            <span aria-hidden="true">Use the folders train, val and test, where the data has them</span>
          </div>
          <p className={styles['quiet']}>
            Every class is split alike. A run keeps the split that it started with.
          </p>
        </div>
      )}
    </section>
  );
}

interface PercentProps {
  label: string;
  value: number;
  most: number;
  onCommit: (value: number) => void;
}

function Percent({ label, value, most, onCommit }: PercentProps) {
  const commit = (text: string) => {
    const next = Math.min(most, Math.max(0, Number(text) / 100));
    if (Number.isFinite(next) && next !== value) onCommit(Number(next.toFixed(4)));
  };
  return (
    <label>
      <span>{label}, %</span>
      <input
        type="number"
        min={0}
        max={Math.round(most * 100)}
        key={value}
        defaultValue={Math.round(value * 100)}
        onBlur={(event) => commit(event.target.value)}
        onKeyDown={(event) => event.key === 'Enter' && event.currentTarget.blur()}
      />
    </label>
  );
}
