import { useMemo } from 'react';
import { useCompare } from '../../stores/compare.ts';
import { lightsRun, litRun, pinRun, useHover } from '../../stores/hover.ts';
import { csv } from '../../text/csv.ts';
import { interval } from '../../text/format.ts';
import { axisOf } from './axis.ts';
import type { Compared } from './ComparePanel.tsx';
import styles from './compare.module.css';
import { type Figure, type FigureKey, figureOf, figures } from './figures.ts';
import { type Frame, Plot } from './Plot.tsx';
import { paretoFront, stairs } from './pareto.ts';

interface Dot extends Compared {
  x: number;
  y: number;
}

/** One figure against another, with the front that no run is beyond. */
export function Scatter({ chosen }: { chosen: Compared[] }) {
  const x = figureOf(useCompare((s) => s.x));
  const y = figureOf(useCompare((s) => s.y));
  const { dots, front } = useMemo(() => {
    const found = chosen.flatMap((c): Dot[] => {
      const [a, b] = [x.of(c.run), y.of(c.run)];
      return a === null || b === null ? [] : [{ ...c, x: a, y: b }];
    });
    return { dots: found, front: paretoFront(found, { x: x.better, y: y.better }) };
  }, [chosen, x, y]);
  const xAxis = useMemo(
    () =>
      axisOf(
        dots.map((d) => d.x),
        4,
      ),
    [dots],
  );
  const yAxis = useMemo(
    () =>
      axisOf(
        dots.flatMap((d) => reach(y, d)),
        4,
      ),
    [dots, y],
  );
  const missing = chosen.length - dots.length;
  return (
    <Plot
      title={`${y.name} against ${x.name}`}
      titled
      label={`${y.name} against ${x.name}, ${dots.length} runs, ${front.length} on the Pareto front: ${front.map((d) => d.run.name).join(', ')}`}
      fileName="comparison-scatter"
      controls={<Axes />}
      x={{
        axis: xAxis,
        title: `${x.name}, ${x.better} is better${missing ? `; ${missing} not known` : ''}`,
        words: x.words,
      }}
      y={{ axis: yAxis, title: y.name, words: y.words }}
      csv={() =>
        csv([
          ['run', x.name, y.name, 'on the front'],
          ...dots.map((d) => [d.run.name, d.x, d.y, front.includes(d) ? 'yes' : 'no']),
        ])
      }
      empty={dots.length === 0 ? `No chosen run holds both ${x.name} and ${y.name}.` : null}
    >
      {(frame) => (
        <>
          {front.length > 1 && (
            <path
              d={path(stairs(front, x.better), frame)}
              fill="none"
              stroke="var(--ink-3)"
              strokeDasharray="4 3"
              data-testid="pareto"
            />
          )}
          {dots.map((dot) => (
            <RunDot key={dot.run.id} dot={dot} figures={[x, y]} best={front.includes(dot)} frame={frame} />
          ))}
        </>
      )}
    </Plot>
  );
}

const path = (points: { x: number; y: number }[], { px, py }: Frame): string =>
  points.map((p, i) => `${i ? 'L' : 'M'}${px(p.x).toFixed(1)} ${py(p.y).toFixed(1)}`).join('');

/** What a dot covers on an axis: its value, and its interval where it has one. */
function reach(figure: Figure, { run, y }: Dot): number[] {
  const score = figure.score?.(run);
  return score ? [score.low, y, score.high] : [y];
}

function Axes() {
  const { x, y } = useCompare();
  const select = (which: 'x' | 'y', value: FigureKey) => (
    <select
      value={value}
      aria-label={which === 'x' ? 'Figure across' : 'Figure upwards'}
      data-testid={`compare-${which}`}
      onChange={(event) => useCompare.setState({ [which]: event.target.value as FigureKey })}
    >
      {figures.map((f) => (
        <option key={f.key} value={f.key}>
          {f.title}
        </option>
      ))}
    </select>
  );
  return (
    <div className={styles['axes']}>
      {select('y', y)}
      against
      {select('x', x)}
    </div>
  );
}

function RunDot({
  dot,
  figures: [x, y],
  best,
  frame,
}: {
  dot: Dot;
  figures: [Figure, Figure];
  best: boolean;
  frame: Frame;
}) {
  const { run, number, colour } = dot;
  const lit = useHover((s) => litRun(s) === run.id);
  const dim = useHover((s) => litRun(s) !== null) && !lit;
  const [cx, cy] = [frame.px(dot.x), frame.py(dot.y)];
  const score = y.score?.(run);
  const words = `${run.name}: ${y.name} ${y.words(dot.y)}${score ? ` (${interval(score.low, score.high)})` : ''}, ${x.name} ${x.words(dot.x)}${best ? ', on the Pareto front' : ''}`;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a button cannot stand in a drawing.
    <g
      role="button"
      tabIndex={0}
      className={styles['dot']}
      aria-label={words}
      opacity={dim ? 0.25 : 1}
      data-testid={`compare-dot-${run.id}`}
      data-lit={lit || undefined}
      {...lightsRun(run.id)}
      onClick={() => pinRun(run.id)}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        event.stopPropagation();
        pinRun(run.id);
      }}
    >
      <title>{words}</title>
      {score && (
        <path
          d={`M${cx} ${frame.py(score.low)}V${frame.py(score.high)}`}
          stroke={colour}
          strokeOpacity={lit ? 1 : 0.5}
        />
      )}
      <circle cx={cx} cy={cy} r={14} fill="transparent" />
      <circle
        cx={cx}
        cy={cy}
        r={lit ? 7 : 5}
        fill={best ? colour : 'var(--surface)'}
        stroke={colour}
        strokeWidth={2}
      />
      <text x={cx + 10} y={cy - 7} fill="var(--ink-2)" fontWeight={lit ? 600 : 400}>
        {number}
      </text>
    </g>
  );
}
