import { Download } from 'lucide-react';
import { useState } from 'react';
import type { ClassReport, Report } from '../../../workers/protocol.ts';
import { IconButton } from '../../parts/Button.tsx';
import { save } from '../../parts/save.ts';
import { lightsClass, litClass, pinClass, useHover } from '../../stores/hover.ts';
import { classColour } from '../../text/colour.ts';
import { csv } from '../../text/csv.ts';
import { count, percent } from '../../text/format.ts';
import styles from './result.module.css';

type Column = 'name' | 'precision' | 'recall' | 'f1' | 'support';
const COLUMNS: [Column, string][] = [
  ['name', 'Class'],
  ['precision', 'Precision'],
  ['recall', 'Recall'],
  ['f1', 'F1'],
  ['support', 'Samples'],
];

/** Classes in the asked order; numbers rise, so the weakest comes first. */
export function sorted(classes: readonly ClassReport[], by: Column | null): ClassReport[] {
  const rows = [...classes];
  if (by === null) return rows;
  if (by === 'name') return rows.sort((a, b) => a.name.localeCompare(b.name));
  return rows.sort((a, b) => a[by] - b[by]);
}

export function ClassTable({ report, fileName }: { report: Report; fileName: string }) {
  const [by, setBy] = useState<Column | null>(null);
  const lit = useHover(litClass);
  const pinned = useHover((s) => s.pinnedClass);
  const table = () =>
    csv([
      COLUMNS.map(([, label]) => label),
      ...report.classes.map((c) => [c.name, c.precision, c.recall, c.f1, c.support]),
    ]);
  return (
    <section className={styles['classes']} aria-label="By class">
      <div className={styles['sectionHead']}>
        <h2>By class</h2>
        <IconButton
          small
          label="Save the classes as CSV"
          onClick={() => save(`${fileName}.csv`, table(), 'text/csv')}
        >
          <Download aria-hidden />
        </IconButton>
      </div>
      <table data-testid="class-table">
        <thead>
          <tr>
            {COLUMNS.map(([column, label]) => (
              <th key={column} scope="col" aria-sort={by === column ? 'ascending' : undefined}>
                <button type="button" onClick={() => setBy(by === column ? null : column)}>
                  {label}
                  <span aria-hidden="true">{by === column ? ' ↑' : ''}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted(report.classes, by).map((c) => (
            <tr key={c.name} data-lit={lit === c.name || undefined} {...lightsClass(c.name)}>
              <th scope="row">
                <button
                  type="button"
                  aria-pressed={pinned === c.name}
                  onClick={() => pinClass(c.name)}
                  title="Pin this class everywhere"
                >
                  <i style={{ background: classColour(c.name) }} aria-hidden="true" />
                  {c.name}
                </button>
              </th>
              <td>{percent(c.precision)}</td>
              <td>{percent(c.recall)}</td>
              <td>{percent(c.f1)}</td>
              <td>{count(c.support)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
