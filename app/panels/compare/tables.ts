import type { RunView } from '../../../workers/protocol.ts';
import { csv } from '../../text/csv.ts';
import type { Difference } from './differing.ts';
import { bestOf, figures } from './figures.ts';

/** How a table is sorted: by `name`, a setting's key, or a figure's. */
export interface Sort {
  key: string;
  down: boolean;
}

/** Places of the runs in the sorted order; what is not known comes last either way, ties keep their order. */
export function order(
  runs: readonly RunView[],
  differences: readonly Difference[],
  { key, down }: Sort,
): number[] {
  const figure = figures.find((f) => f.key === key);
  const difference = differences.find((d) => d.key === key);
  const cellOf = (i: number): string | number | null =>
    figure ? figure.of(runs[i]!) : difference ? difference.values[i]! : runs[i]!.name;
  return runs
    .map((_, i) => i)
    .sort((a, b) => {
      const [left, right] = [cellOf(a), cellOf(b)];
      if (left === null || right === null) return Number(left === null) - Number(right === null);
      const way =
        typeof left === 'number' && typeof right === 'number'
          ? left - right
          : String(left).localeCompare(String(right), 'en', { numeric: true });
      return down ? -way : way;
    });
}

/** The comparison with every number as it is: shares from 0 to 1, bytes, milliseconds. */
export function comparisonCsv(runs: readonly RunView[], differences: readonly Difference[]): string {
  const heads = figures.flatMap((f) =>
    f.score ? [f.name, `${f.name} low`, `${f.name} high`] : [unitName(f.key)],
  );
  return csv([
    ['run', ...differences.map((d) => d.label), ...heads, 'data hash'],
    ...runs.map((run, i) => [
      run.name,
      ...differences.map((d) => d.values[i]!),
      ...figures.flatMap((f) => {
        const score = f.score?.(run);
        return f.score ? [f.of(run), score?.low ?? null, score?.high ?? null] : [f.of(run)];
      }),
      run.dataHash,
    ]),
  ]);
}

function unitName(key: string): string {
  const figure = figures.find((f) => f.key === key)!;
  return (
    { stepMs: `${figure.name} ms`, peak: `${figure.name} bytes`, file: `${figure.name} bytes` }[key] ??
    figure.name
  );
}

const special: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
};

/** Text that LaTeX sets as it stands. */
export const latexText = (text: string): string =>
  text.replace(/[\\~^&%$#_{}]/g, (c) => special[c] ?? `\\${c}`).replaceAll('–', '--');

/** The comparison as a `tabular` for a paper, rules by booktabs; the best of each figure in bold. */
export function comparisonLatex(runs: readonly RunView[], differences: readonly Difference[]): string {
  const shown = figures.filter((f) => runs.some((run) => f.of(run) !== null));
  const heads = [
    'Run',
    ...differences.map((d) => latexText(d.label)),
    ...shown.map((f) => latexText(`${f.title} (${f.unit})`)),
  ];
  const rows = runs.map((run, i) => [
    latexText(run.name),
    ...differences.map((d) => (d.words[i] === null ? '--' : latexText(d.words[i]!))),
    ...shown.map((f) => {
      const value = f.of(run);
      if (value === null) return '--';
      const score = f.score?.(run);
      const words = value === bestOf(f, runs) ? `\\textbf{${f.printed(value)}}` : f.printed(value);
      return score ? `${words} {\\small [${f.printed(score.low)}, ${f.printed(score.high)}]}` : words;
    }),
  ]);
  const line = (cells: string[]) => `${cells.join(' & ')} \\\\`;
  return [
    '% \\usepackage{booktabs}',
    `\\begin{tabular}{l${'l'.repeat(differences.length)}${'r'.repeat(shown.length)}}`,
    '\\toprule',
    line(heads),
    '\\midrule',
    ...rows.map(line),
    '\\bottomrule',
    '\\end{tabular}',
    '',
  ].join('\n');
}
