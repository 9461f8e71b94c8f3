import { useMemo } from 'react';
import type { RunView } from '../../../workers/protocol.ts';
import { Segments } from '../../parts/Inputs.tsx';
import { useCompare } from '../../stores/compare.ts';
import { lightsRun, litRun, pinRun, useHover } from '../../stores/hover.ts';
import { curvesOf, useRuns } from '../../stores/runs.ts';
import { csv } from '../../text/csv.ts';
import { figure, percent } from '../../text/format.ts';
import { axisOf, linear } from './axis.ts';
import type { Compared } from './ComparePanel.tsx';
import { type Frame, Plot } from './Plot.tsx';

interface Curve extends Compared {
  points: { epoch: number; step: number; value: number }[];
}

/** Epochs that a run has seen after a step, so that runs with other batches lie over each other; null where unknown. */
export function epochOf(run: RunView, step: number): number | null {
  const epochs = run.plan.settings['epochs'];
  const { unit, total } = run.progress;
  return typeof epochs === 'number' && unit === 'steps' && total > 0 ? (step * epochs) / total : null;
}

const SHOWN = [
  { value: 'accuracy', label: 'Accuracy' },
  { value: 'loss', label: 'Loss' },
];

/** Every run's validation as it trained, over each other. */
export function ValidationCurves({ chosen }: { chosen: Compared[] }) {
  const shown = useCompare((s) => s.curve);
  const ticks = useRuns((s) => chosen.map((c) => s.ticks[c.run.id] ?? 0).join());
  // biome-ignore lint/correctness/useExhaustiveDependencies: the points are appended in place; the ticks tell when.
  const curves = useMemo(
    () =>
      chosen.map((c): Curve => {
        const evals = curvesOf(c.run.id).evals.filter((e) => e.split === 'val' && Number.isFinite(e[shown]));
        const points = evals.flatMap((e) => {
          const epoch = epochOf(c.run, e.step);
          return epoch === null ? [] : [{ epoch, step: e.step, value: e[shown] }];
        });
        return { ...c, points };
      }),
    [chosen, ticks, shown],
  );
  const all = curves.flatMap((c) => c.points);
  const end = all.reduce((most, p) => Math.max(most, p.epoch), 1);
  const values = all.map((p) => p.value);
  const words = shown === 'accuracy' ? (v: number) => percent(v, 0) : figure;
  const name = `validation ${shown}`;
  return (
    <Plot
      title={`Validation ${shown} by epoch`}
      label={`${name} of ${curves.length} runs. ${curves.map((c) => `${c.run.name}: ${c.points.length ? words(c.points.at(-1)!.value) : 'no points'}`).join(', ')}`}
      fileName={`comparison-${name.replace(' ', '-')}`}
      controls={
        <Segments
          label="Curve"
          value={shown}
          options={SHOWN}
          onChange={(value) => useCompare.setState({ curve: value as 'accuracy' | 'loss' })}
        />
      }
      x={{ axis: linear(0, end, 5), title: 'epoch', words: figure }}
      y={{ axis: axisOf(values, 4), title: name, words }}
      csv={() =>
        csv([
          ['run', 'step', 'epoch', name],
          ...curves.flatMap((c) => c.points.map((p) => [c.run.name, p.step, p.epoch, p.value])),
        ])
      }
      empty={all.length === 0 ? 'The chosen runs have no validation points.' : null}
    >
      {(frame) => {
        const ends = curves.map((c) => (c.points.length > 0 ? frame.py(c.points.at(-1)!.value) : null));
        const labels = apart(ends, LINE);
        return curves.map((curve, i) => (
          <Line key={curve.run.id} curve={curve} frame={frame} labelY={labels[i]!} />
        ));
      }}
    </Plot>
  );
}

/** Pixels between two numbers at the curves' ends. */
const LINE = 13;

/** The heights moved apart until no two are nearer than `gap`, each as near to its own as that leaves; null stays. */
export function apart(heights: readonly (number | null)[], gap: number): (number | null)[] {
  const sorted = heights.flatMap((y, i) => (y === null ? [] : [{ y, i }])).sort((a, b) => a.y - b.y);
  // Runs of touching labels share their middle.
  const blocks: { sum: number; items: number[] }[] = [];
  const top = ({ sum, items }: { sum: number; items: number[] }) =>
    sum / items.length - ((items.length - 1) * gap) / 2;
  for (const { y, i } of sorted) {
    let block = { sum: y, items: [i] };
    for (
      let last = blocks.at(-1);
      last && top(block) < top(last) + last.items.length * gap;
      last = blocks.at(-1)
    ) {
      blocks.pop();
      block = { sum: last.sum + block.sum, items: [...last.items, ...block.items] };
    }
    blocks.push(block);
  }
  const moved: (number | null)[] = heights.map(() => null);
  for (const block of blocks)
    block.items.forEach((i, k) => {
      moved[i] = top(block) + k * gap;
    });
  return moved;
}

interface LineProps {
  curve: Curve;
  frame: Frame;
  labelY: number | null;
}

function Line({ curve: { run, number, colour, points }, frame, labelY }: LineProps) {
  const lit = useHover((s) => litRun(s) === run.id);
  const dim = useHover((s) => litRun(s) !== null) && !lit;
  const last = points.at(-1);
  if (!last) return null;
  const at = points.map((p) => `${frame.px(p.epoch).toFixed(1)} ${frame.py(p.value).toFixed(1)}`);
  const d = `M${at.join('L')}`;
  const [x, y] = [frame.px(last.epoch), frame.py(last.value)];
  return (
    // The table's row and the scatter's dot of this run take the keyboard; a curve answers the pointer.
    // biome-ignore lint/a11y/noStaticElementInteractions: as above.
    <g
      opacity={dim ? 0.25 : 1}
      data-testid={`compare-curve-${run.id}`}
      data-lit={lit || undefined}
      onPointerEnter={lightsRun(run.id).onPointerEnter}
      onPointerLeave={lightsRun(run.id).onPointerLeave}
      onClick={() => pinRun(run.id)}
    >
      <title>{run.name}</title>
      <path d={d} fill="none" stroke="transparent" strokeWidth={14} pointerEvents="stroke" />
      <path d={d} fill="none" stroke={colour} strokeWidth={lit ? 3 : 1.75} strokeLinejoin="round" />
      <circle cx={x} cy={y} r={lit ? 4 : 3} fill={colour} />
      <text x={x + 7} y={(labelY ?? y) + 4} fill="var(--ink-2)" fontWeight={lit ? 600 : 400}>
        {number}
      </text>
    </g>
  );
}
