import type { RunView, Score } from '../../../workers/protocol.ts';
import { bytes, compact, percent, three } from '../../text/format.ts';
import type { Better } from './pareto.ts';

export type FigureKey = 'test' | 'val' | 'parameters' | 'stepMs' | 'peak' | 'file' | 'use';

/** A figure that runs are compared by. */
export interface Figure {
  key: FigureKey;
  /** Over a column. */
  title: string;
  /** On an axis and in files, with what it is exactly. */
  name: string;
  better: Better;
  /** Null where the run does not hold it. */
  of(run: RunView): number | null;
  /** The figure's interval, where it is a share of samples. */
  score?(run: RunView): Score | null;
  words(value: number): string;
  /** In a table of a paper: its unit, and the value in it. */
  unit: string;
  printed(value: number): string;
}

const share = (value: number) => (value * 100).toFixed(1);
const megabytes = (value: number) => three(value / 1e6);

export const figures: readonly Figure[] = [
  {
    key: 'test',
    title: 'Test',
    name: 'test accuracy',
    better: 'more',
    of: (run) => run.test?.accuracy ?? null,
    score: (run) => run.test ?? null,
    words: (v) => percent(v),
    unit: '%',
    printed: share,
  },
  {
    key: 'val',
    title: 'Validation',
    name: 'best validation accuracy',
    better: 'more',
    of: (run) => run.val?.accuracy ?? run.best?.accuracy ?? null,
    score: (run) => run.val ?? null,
    words: (v) => percent(v),
    unit: '%',
    printed: share,
  },
  {
    key: 'parameters',
    title: 'Parameters',
    name: 'trainable parameters',
    better: 'less',
    of: (run) => run.figures.trainableParameters,
    words: compact,
    unit: 'k',
    printed: (v) => three(v / 1000),
  },
  {
    key: 'stepMs',
    title: 'Step',
    name: 'median step time',
    better: 'less',
    of: (run) => run.figures.stepMs,
    words: (v) => `${three(v)} ms`,
    unit: 'ms',
    printed: three,
  },
  {
    key: 'peak',
    title: 'Peak memory',
    name: 'planned peak GPU memory',
    better: 'less',
    of: (run) => run.figures.peakBytes,
    words: bytes,
    unit: 'MB',
    printed: megabytes,
  },
  {
    key: 'file',
    title: 'File',
    name: 'file size',
    better: 'less',
    of: (run) => run.figures.fileBytes,
    words: bytes,
    unit: 'MB',
    printed: megabytes,
  },
  {
    key: 'use',
    title: 'Extra use',
    name: 'operations added to every use',
    better: 'less',
    of: (run) => run.figures.extraUse ?? null,
    words: (v) => (v === 0 ? 'none' : percent(v)),
    unit: '%',
    printed: share,
  },
];

/** Figures worth a column: what every use costs is, where some run of these costs anything. */
export const figuresOf = (runs: readonly RunView[]): Figure[] =>
  figures.filter((f) => f.key !== 'use' || runs.some((run) => (f.of(run) ?? 0) > 0));

export const figureOf = (key: FigureKey): Figure => figures.find((f) => f.key === key)!;

/** The best value of a figure among runs; null where none is better than another. */
export function bestOf(figure: Figure, runs: readonly RunView[]): number | null {
  const values = runs.flatMap((run) => figure.of(run) ?? []);
  if (new Set(values).size < 2) return null;
  return values.reduce((a, b) => (figure.better === 'more' ? Math.max(a, b) : Math.min(a, b)));
}
