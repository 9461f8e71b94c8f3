import type { RankCut, RunView } from '../../../workers/protocol.ts';
import { Chart, type Line } from '../../parts/Chart.tsx';
import type { Cutting } from '../../stores/ranks.ts';
import { bytes, percent } from '../../text/format.ts';
import styles from './rank.module.css';

const rankOf = (cut: RankCut): number => Math.max(0, ...Object.values(cut.ranks));

/** Accuracy and file size as functions of one cut for all modules, the current cut marked. */
export function CutCurves({ run, cutting: { curve, ranks } }: { run: RunView; cutting: Cutting }) {
  if (curve.length < 2) return null;
  const x = curve.map(rankOf);
  const line = (label: string, values: (number | null)[]): Line[] => [
    { label, colour: '--accent', width: 2, points: true, values },
  ];
  const at = Math.max(0, ...Object.values(ranks));
  const marks = Object.keys(ranks).length ? [{ x: at, label: `rank ${at}` }] : [];
  const split = curve[0]!.split === 'test' ? 'Test' : 'Validation';
  return (
    <div className={styles['charts']}>
      <Chart
        title={`${split} accuracy by rank`}
        x={x}
        xLabel="rank"
        lines={line(
          'accuracy',
          curve.map((c) => c.score?.accuracy ?? null),
        )}
        marks={marks}
        height={140}
        format={(v) => percent(v, 0)}
        fileName={`${run.name}-accuracy-by-rank`}
      />
      <Chart
        title="File size by rank"
        x={x}
        xLabel="rank"
        lines={line(
          'bytes',
          curve.map((c) => c.fileBytes),
        )}
        marks={marks}
        height={140}
        format={bytes}
        fileName={`${run.name}-size-by-rank`}
      />
    </div>
  );
}
