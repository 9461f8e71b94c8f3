import { Download } from 'lucide-react';
import { useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useView } from '../stores/view.ts';
import { csv } from '../text/csv.ts';
import { IconButton } from './Button.tsx';
import styles from './chart.module.css';
import { chartSvg } from './chartSvg.ts';
import { useMedia, useWidth } from './hooks.ts';
import { Menu } from './Overlays.tsx';
import { save } from './save.ts';
import { resolveColour as resolve } from './tokens.ts';

export interface Line {
  label: string;
  /** A token's name, `--accent`. */
  colour: string;
  width: number;
  dash?: number[];
  points?: boolean;
  values: (number | null)[];
}

export interface Mark {
  x: number;
  label: string;
}

interface Props {
  title: string;
  x: number[];
  xLabel: string;
  lines: Line[];
  /** A level drawn across, e.g. the probe's score. */
  level?: { value: number; label: string };
  marks?: Mark[];
  height: number;
  format: (value: number) => string;
  /** The last step there will be, so that the axis stands still while points come. */
  end?: number;
  /** Fixed bounds; left out, the data decide. */
  range?: [number, number];
  fileName: string;
}

/** The key to one or more charts that share their lines. */
export function Legend({ lines, level }: { lines: Line[]; level?: Props['level'] | undefined }) {
  return (
    <ul className={styles['legend']}>
      {lines.map((line) => (
        <li key={line.label}>
          <svg width="16" height="8" aria-hidden="true">
            <line
              x1="0"
              x2="16"
              y1="4"
              y2="4"
              stroke={`var(${line.colour})`}
              strokeWidth={line.width}
              strokeDasharray={line.dash?.join(' ')}
            />
            {line.points && <circle cx="8" cy="4" r="3" fill={`var(${line.colour})`} />}
          </svg>
          {line.label}
        </li>
      ))}
      {level && (
        <li>
          <svg width="16" height="8" aria-hidden="true">
            <line
              x1="0"
              x2="16"
              y1="4"
              y2="4"
              stroke="var(--frozen-3)"
              strokeWidth="1.5"
              strokeDasharray="4 3"
            />
          </svg>
          {level.label}
        </li>
      )}
    </ul>
  );
}

export function Chart(props: Props) {
  const { title, x, lines, level, marks = [], height, format, range, end, fileName, xLabel } = props;
  const [frame, width] = useWidth();
  const host = useRef<HTMLDivElement | null>(null);
  const plot = useRef<uPlot | null>(null);
  const readout = useRef<HTMLOutputElement | null>(null);
  const latest = useRef<Extras>({ level, marks, format, range, end });
  latest.current = { level, marks, format, range, end };
  const dark = useMedia('(prefers-color-scheme: dark)');
  const theme = useView((s) => s.theme);
  const look = lines.map((l) => `${l.label}|${l.colour}|${l.width}|${l.dash}|${l.points}`).join('/');
  const data = useMemo(() => [x, ...lines.map((l) => l.values)] as uPlot.AlignedData, [x, lines]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the plot is rebuilt when its look changes; data, marks and size go to the one that stands.
  useEffect(() => {
    if (!host.current || width === 0) return;
    const made = new uPlot(
      options(lines, width, height, latest, fileName, (plot) => {
        if (readout.current) readout.current.textContent = pointed(plot, xLabel, latest.current.format);
      }),
      data,
      host.current,
    );
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = null;
    };
  }, [look, dark, theme, width === 0, height]);

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height });
  }, [width, height]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: marks and the level are drawn by the same pass.
  useEffect(() => {
    plot.current?.setData(data);
  }, [data, level?.value, marks.length, end]);

  const table = () =>
    csv([
      [xLabel, ...lines.map((l) => l.label)],
      ...x.map((at, row) => [at, ...lines.map((l) => l.values[row] ?? null)]),
    ]);
  const colours = () => lines.map((l) => resolve(l.colour));
  return (
    <figure className={styles['chart']}>
      <figcaption className={styles['head']}>
        <h2>{title}</h2>
        <output ref={readout} className={styles['readout']} aria-live="off" />
        <Menu
          label={`Save ${title}`}
          trigger={
            <IconButton small label={`Save ${title} as a file`}>
              <Download aria-hidden />
            </IconButton>
          }
          entries={[
            { label: 'Numbers as CSV', perform: () => save(`${fileName}.csv`, table(), 'text/csv') },
            {
              label: 'Picture as SVG',
              perform: () =>
                save(
                  `${fileName}.svg`,
                  chartSvg({
                    title,
                    x,
                    lines,
                    colours: colours(),
                    ink: resolve('--ink-2'),
                    paper: resolve('--surface'),
                    format,
                  }),
                  'image/svg+xml',
                ),
            },
            { label: 'Picture as PNG', perform: () => plot.current && savePng(plot.current, fileName) },
          ]}
        />
      </figcaption>
      <div ref={frame} className={styles['frame']} style={{ height }}>
        <div ref={host} role="img" aria-label={inWords(title, xLabel, x, lines, format)} />
      </div>
    </figure>
  );
}

/** The chart in a sentence, for those who do not see it. */
function inWords(
  title: string,
  xLabel: string,
  x: number[],
  lines: Line[],
  format: (v: number) => string,
): string {
  const last = lines.map((line) => {
    const value = line.values.findLast((v) => v !== null);
    return value == null ? `${line.label}: nothing yet` : `${line.label}: ${format(value)}`;
  });
  return `${title} up to ${xLabel} ${x.at(-1) ?? 0}. ${last.join(', ')}.`;
}

/** The values under the pointer; written past React, since it moves with the mouse. */
function pointed(plot: uPlot, xLabel: string, format: (v: number) => string): string {
  const at = plot.cursor.idx;
  if (at == null) return '';
  const values = plot.series.slice(1).flatMap((series, i) => {
    const value = plot.data[i + 1]![at];
    const name = String(series.label).replace('Train, ', '').toLowerCase();
    return value == null ? [] : [`${name} ${format(Number(value.toPrecision(3)))}`];
  });
  return `${xLabel} ${plot.data[0][at]}: ${values.join(', ')}`;
}

function savePng(plot: uPlot, fileName: string): void {
  const canvas = document.createElement('canvas');
  canvas.width = plot.ctx.canvas.width;
  canvas.height = plot.ctx.canvas.height;
  const context = canvas.getContext('2d')!;
  context.fillStyle = resolve('--surface');
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(plot.ctx.canvas, 0, 0);
  canvas.toBlob((blob) => blob && save(`${fileName}.png`, blob));
}

interface Extras {
  level?: Props['level'] | undefined;
  marks: Mark[];
  format: (value: number) => string;
  range?: [number, number] | undefined;
  end?: number | undefined;
}

function options(
  lines: Line[],
  width: number,
  height: number,
  extras: { current: Extras },
  key: string,
  onCursor: (plot: uPlot) => void,
): uPlot.Options {
  const [ink, grid, frozen] = [resolve('--ink-3'), resolve('--line'), resolve('--frozen-3')];
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: key.replace(/-[^-]*$/, '') }, points: { size: 7 }, drag: { x: false, y: false } },
    scales: {
      x: {
        time: false,
        range: (_, low, high) => [Math.min(low ?? 0, 1), Math.max(high ?? 1, extras.current.end ?? 1)],
      },
      y: { range: (_, low, high) => extras.current.range ?? pad(low, high, extras.current.level?.value) },
    },
    axes: [
      {
        ...axis,
        size: 28,
        grid: { show: false },
        values: (_, ticks) => ticks.map((t) => (Number.isInteger(t) ? t : '')),
      },
      {
        ...axis,
        size: 52,
        values: (_, ticks) => ticks.map((t) => extras.current.format(Number(t.toPrecision(6)))),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: resolve(line.colour),
        width: line.width,
        spanGaps: true,
        ...(line.dash ? { dash: line.dash } : {}),
        points: { show: line.points ?? false, size: 6, fill: resolve(line.colour) },
      })),
    ],
    hooks: { setCursor: [onCursor], draw: [(plot) => drawExtras(plot, extras.current, ink, frozen, font)] },
  };
}

function pad(low: number | null, high: number | null, level: number | undefined): [number, number] {
  if (low === null || high === null) return [0, 1];
  const [from, to] = level === undefined ? [low, high] : [Math.min(low, level), Math.max(high, level)];
  const room = (to - from || Math.abs(to) || 1) * 0.06;
  return [Math.max(from - room, from >= 0 ? 0 : -Infinity), to + room];
}

function drawExtras(plot: uPlot, { level, marks }: Extras, ink: string, frozen: string, font: string): void {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  ctx.save();
  ctx.lineWidth = scale;
  ctx.font = font.replace('12px', `${12 * scale}px`);
  if (level) {
    const y = plot.valToPos(level.value, 'y', true);
    ctx.strokeStyle = frozen;
    ctx.lineWidth = 1.5 * scale;
    ctx.setLineDash([4 * scale, 3 * scale]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.setLineDash([2 * scale, 3 * scale]);
  ctx.strokeStyle = ink;
  ctx.fillStyle = ink;
  ctx.lineWidth = scale;
  for (const mark of marks) {
    const x = plot.valToPos(mark.x, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const right = x > bbox.left + bbox.width * 0.7;
    ctx.textAlign = right ? 'right' : 'left';
    ctx.fillText(mark.label, x + (right ? -6 : 6) * scale, bbox.top + 12 * scale);
  }
  ctx.restore();
}
