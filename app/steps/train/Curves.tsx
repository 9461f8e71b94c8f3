import { useMemo, useState } from 'react';
import type { RunView } from '../../../workers/protocol.ts';
import { Chart, Legend, type Line, type Mark } from '../../parts/Chart.tsx';
import { Segments } from '../../parts/Inputs.tsx';
import { type Columns, columns } from '../../stores/curves.ts';
import { curvesOf, useRuns } from '../../stores/runs.ts';
import { figure, percent } from '../../text/format.ts';
import styles from './train.module.css';

/** Half-lives in steps, named plainly. */
const SMOOTHING = [
  { value: '0', label: 'Raw' },
  { value: '5', label: 'Light' },
  { value: '20', label: 'Smooth' },
];

function lines(data: Columns, smooth: boolean): Line[] {
  const train: Line[] = smooth
    ? [
        { label: 'Train, each step', colour: '--accent-faint', width: 1, values: data.train },
        { label: 'Train, smoothed', colour: '--accent', width: 2, values: data.smooth },
      ]
    : [{ label: 'Train', colour: '--accent', width: 1.5, values: data.train }];
  return [...train, { label: 'Validation', colour: '--ink', width: 1.5, points: true, values: data.val }];
}

/** Loss and accuracy as they come. Only the points change; the two plots stay. */
export function Curves({ run }: { run: RunView }) {
  const tick = useRuns((s) => s.ticks[run.id] ?? 0);
  const [smoothing, setSmoothing] = useState('5');
  const halfLife = Number(smoothing);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the points are appended in place; the tick tells when.
  const [losses, accuracies] = useMemo(() => {
    const curves = curvesOf(run.id);
    return [columns(curves, 'loss', halfLife), columns(curves, 'accuracy', halfLife)];
  }, [run.id, tick, halfLife]);
  const lossLines = useMemo(() => lines(losses, halfLife > 0), [losses, halfLife]);
  const accuracyLines = useMemo(() => lines(accuracies, halfLife > 0), [accuracies, halfLife]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above.
  const moves = useMemo(
    (): Mark[] => curvesOf(run.id).journal.map((j) => ({ x: j.step, label: `${j.knob} ${j.value}` })),
    [run.id, tick],
  );
  const best = useMemo((): Mark[] => (run.best ? [{ x: run.best.step, label: 'best' }] : []), [run.best]);
  const level = run.probe ? { value: run.probe.accuracy, label: 'Linear probe' } : undefined;
  const end = run.progress.unit === 'steps' ? { end: run.progress.total } : {};
  return (
    <section className={styles['curves']} aria-label="Curves">
      <div className={styles['smoothing']}>
        <Legend lines={lossLines} level={level} />
        <Segments label="Smoothing" value={smoothing} options={SMOOTHING} onChange={setSmoothing} />
      </div>
      <Chart
        title="Loss"
        x={losses.step}
        xLabel="step"
        lines={lossLines}
        marks={moves}
        {...end}
        height={280}
        format={figure}
        fileName={`${run.name}-loss`}
      />
      <Chart
        title="Accuracy"
        x={accuracies.step}
        xLabel="step"
        lines={accuracyLines}
        marks={best}
        {...(level ? { level } : {})}
        {...end}
        height={280}
        range={[0, 1]}
        format={(v) => percent(v, 0)}
        fileName={`${run.name}-accuracy`}
      />
    </section>
  );
}
