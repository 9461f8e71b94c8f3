import { useEffect, useMemo } from 'react';
import { useShallow } from 'zustand/react/shallow';
import type { RunView } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { chosenRuns, isFinished, useCompare } from '../../stores/compare.ts';
import { useMachine } from '../../stores/machine.ts';
import { showMerge } from '../../stores/merge.ts';
import { needCurves, useRuns } from '../../stores/runs.ts';
import { runColour } from '../../text/colour.ts';
import styles from './compare.module.css';
import { type Difference, differing } from './differing.ts';
import { RunPicker, TableFiles } from './Head.tsx';
import { RunTable } from './RunTable.tsx';
import { Scatter } from './Scatter.tsx';
import { order } from './tables.ts';
import { ValidationCurves } from './ValidationCurves.tsx';

/** A compared run with its number, which stands beside its colour in every picture, and its colour. */
export interface Compared {
  run: RunView;
  number: number;
  colour: string;
}

/** Runs side by side: what differs among them, what they reached, what they cost. */
export function ComparePanel() {
  const chosen = useChosen();
  const catalogue = useMachine((s) => s.catalogue);
  const sort = useCompare((s) => s.sort);
  const differences = useMemo(
    () =>
      differing(
        chosen.map((c) => c.run),
        catalogue,
      ),
    [chosen, catalogue],
  );
  const sorted = useMemo(() => {
    const runs = chosen.map((c) => c.run);
    const places = sort ? order(runs, differences, sort) : runs.map((_, i) => i);
    return {
      chosen: places.map((i) => chosen[i]!),
      differences: differences.map(
        (d): Difference => ({
          ...d,
          words: places.map((i) => d.words[i]!),
          values: places.map((i) => d.values[i]!),
        }),
      ),
    };
  }, [chosen, differences, sort]);
  useEffect(() => {
    for (const { run } of chosen) needCurves(run);
  }, [chosen]);
  return (
    <div className={styles['compare']} data-testid="compare" data-tall={chosen.length > 0 || undefined}>
      <div className={styles['head']}>
        <RunPicker chosen={chosen} />
        <Remark chosen={chosen} />
        {chosen.length > 1 && (
          <Button
            size="small"
            data-testid="compare-merge"
            onClick={() => showMerge(chosen.map((c) => c.run))}
          >
            Merge these
          </Button>
        )}
        {chosen.length > 0 && <TableFiles {...sorted} />}
      </div>
      {chosen.length > 0 && (
        <>
          <RunTable {...sorted} />
          <div className={styles['charts']}>
            <Scatter chosen={chosen} />
            <ValidationCurves chosen={chosen} />
          </div>
        </>
      )}
    </div>
  );
}

function useChosen(): Compared[] {
  const picked = useCompare((s) => s.picked);
  // The same runs, the same list: a run that trains beside them redraws nothing here.
  const runs = useRuns(useShallow((s) => chosenRuns(s.runs, s.selected, picked)));
  return useMemo(() => runs.map((run, i) => ({ run, number: i + 1, colour: runColour(run.id) })), [runs]);
}

/** What there is to know before reading the figures. */
function Remark({ chosen }: { chosen: Compared[] }) {
  const finished = useRuns((s) => s.runs.filter(isFinished).length);
  const picked = useCompare((s) => s.picked);
  const runs = chosen.map((c) => c.run);
  const warning = mixed(runs);
  if (warning)
    return (
      <p className={styles['remark']} data-warning>
        {warning}
      </p>
    );
  if (finished === 0)
    return (
      <p className={styles['remark']}>
        Finished runs are compared here. Train one, change a knob, and train again; Add to queue lets the next
        one wait for its turn.
      </p>
    );
  if (runs.length === 0) return <p className={styles['remark']}>No run is chosen.</p>;
  if (runs.length === 1)
    return (
      <p className={styles['remark']}>
        One run alone. Train another with other knobs to see what they change.
      </p>
    );
  return (
    <p className={styles['remark']}>
      {picked ? `${runs.length} runs, chosen by hand.` : `${runs.length} runs on ${runs[0]!.datasetName}.`}{' '}
      Only what differs is listed.
    </p>
  );
}

/** Why accuracies may not be held against each other; null where they may. */
export function mixed(runs: readonly RunView[]): string | null {
  if (new Set(runs.map((run) => run.dataHash)).size > 1)
    return 'These runs learnt from different data, so their accuracies do not compare.';
  if (new Set(runs.map((run) => run.plan.backbone)).size > 1)
    return 'These runs stand on different backbones: their costs differ for that alone.';
  if (new Set(runs.map((run) => run.plan.settings['seed'])).size > 1)
    return 'These runs have different seeds: part of the difference is chance.';
  return null;
}
