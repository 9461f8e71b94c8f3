import { Download } from 'lucide-react';
import { useState } from 'react';
import type { Report } from '../../../workers/protocol.ts';
import { IconButton } from '../../parts/Button.tsx';
import { save } from '../../parts/save.ts';
import { litClass, pinClass, useHover } from '../../stores/hover.ts';
import { classColour, css, inkOn, ramp } from '../../text/colour.ts';
import { csv } from '../../text/csv.ts';
import { count, percent } from '../../text/format.ts';
import { ConfusionCanvas } from './ConfusionCanvas.tsx';
import styles from './result.module.css';

/** Beyond this many classes a table of cells is neither readable nor quick; a picture takes over. */
const MOST_CELLS = 24;

interface Props {
  report: Report;
  fileName: string;
}

export function Confusion({ report, fileName }: Props) {
  const [cell, setCell] = useState<[number, number] | null>(null);
  const names = report.classes.map((c) => c.name);
  const table = () =>
    csv([['actual \\ predicted', ...names], ...report.confusion.map((row, i) => [names[i]!, ...row])]);
  return (
    <section className={styles['confusion']} aria-label="Confusion matrix">
      <div className={styles['sectionHead']}>
        <h2>Confusion</h2>
        <IconButton
          small
          label="Save the confusion matrix as CSV"
          onClick={() => save(`${fileName}.csv`, table(), 'text/csv')}
        >
          <Download aria-hidden />
        </IconButton>
      </div>
      {names.length <= MOST_CELLS ? (
        <Cells report={report} cell={cell} onCell={setCell} />
      ) : (
        <ConfusionCanvas report={report} onCell={setCell} />
      )}
      <p className={styles['caption']}>{caption(report, cell)}</p>
    </section>
  );
}

function caption(report: Report, cell: [number, number] | null): string {
  if (!cell) return 'Rows: what it is. Columns: what was said. Shade: the share of the row.';
  const [actual, predicted] = cell;
  const n = report.confusion[actual]![predicted]!;
  const of = report.confusion[actual]!.reduce((a, b) => a + b, 0);
  const [a, p] = [report.classes[actual]!.name, report.classes[predicted]!.name];
  const share = `${count(n)} of ${count(of)} (${percent(n / Math.max(1, of), 0)})`;
  return actual === predicted ? `${share} ${a} were recognised.` : `${share} ${a} were taken for ${p}.`;
}

interface CellsProps {
  report: Report;
  cell: [number, number] | null;
  onCell: (cell: [number, number] | null) => void;
}

function Cells({ report, cell, onCell }: CellsProps) {
  const lit = useHover(litClass);
  const names = report.classes.map((c) => c.name);
  const point = (actual: number, predicted: number) => {
    onCell([actual, predicted]);
    useHover.setState({ className: names[actual]! });
  };
  const leave = () => {
    onCell(null);
    useHover.setState({ className: null });
  };
  return (
    <div className={styles['matrixFrame']}>
      <table
        className={styles['matrix']}
        data-tall={names.some((name) => name.length > 3) || undefined}
        data-testid="confusion"
      >
        <thead>
          <tr>
            <td />
            {names.map((name) => (
              <th key={name} scope="col" title={name} data-lit={lit === name || undefined}>
                <span>{name}</span>
                <i style={{ background: classColour(name) }} aria-hidden="true" />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {report.confusion.map((row, actual) => {
            const total = Math.max(
              1,
              row.reduce((a, b) => a + b, 0),
            );
            return (
              <tr key={names[actual]}>
                <th scope="row" title={names[actual]} data-lit={lit === names[actual] || undefined}>
                  <span>{names[actual]}</span>
                  <i style={{ background: classColour(names[actual]!) }} aria-hidden="true" />
                </th>
                {row.map((n, predicted) => {
                  const colour = ramp(n / total);
                  const here = cell?.[0] === actual && cell[1] === predicted;
                  return (
                    <td
                      // biome-ignore lint/suspicious/noArrayIndexKey: a place in the matrix.
                      key={predicted}
                      data-diagonal={actual === predicted || undefined}
                      data-here={here || undefined}
                      style={n > 0 ? { background: css(colour), color: inkOn(colour) } : undefined}
                      onPointerEnter={() => point(actual, predicted)}
                      onPointerLeave={leave}
                    >
                      <button
                        type="button"
                        aria-label={`${names[actual]} taken for ${names[predicted]}: ${n}`}
                        tabIndex={n > 0 ? 0 : -1}
                        onFocus={() => point(actual, predicted)}
                        onBlur={leave}
                        onClick={() => pinClass(names[actual]!)}
                      >
                        {n > 0 ? n : ''}
                      </button>
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
