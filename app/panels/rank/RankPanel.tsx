import { Download } from 'lucide-react';
import { useMemo, useState } from 'react';
import { IconButton } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { save } from '../../parts/save.ts';
import { useMachine } from '../../stores/machine.ts';
import { backboneOf, methodOf } from '../../stores/plan.ts';
import { cuttingOf, useRanks } from '../../stores/ranks.ts';
import { hasResult, selectedRun, useRuns } from '../../stores/runs.ts';
import { csv } from '../../text/csv.ts';
import { effectiveRank } from '../../text/spectrum.ts';
import panel from '../panels.module.css';
import { CutControls } from './CutControls.tsx';
import { CutCurves } from './CutCurves.tsx';
import { HeatMap } from './HeatMap.tsx';
import { inOrder, widest } from './order.ts';
import styles from './rank.module.css';
import { SpectrumRow } from './SpectrumRow.tsx';

/** Singular values of every adapted module's update, a row a module, from the input down; and the adapter cut to fewer. */
export function RankPanel() {
  const run = useRuns(selectedRun);
  const last = useRuns((s) => (run ? s.spectra[run.id] : undefined));
  const history = useRanks((s) => (run ? s.history[run.id] : undefined));
  const cutting = useRanks((s) => cuttingOf(run?.id ?? '', s));
  const catalogue = useMachine((s) => s.catalogue);
  const [past, setPast] = useState<number | null>(null);
  const backbone = backboneOf(catalogue, run?.plan.backbone ?? null);
  const seen = past === null ? last : (history?.[past] ?? last);
  const rows = useMemo(
    () => inOrder(seen?.spectra ?? [], backbone?.modules.map((m) => m.path) ?? []),
    [seen, backbone],
  );
  if (!run)
    return (
      <p className={panel['quiet']}>
        Choose or start a run: the spectrum of each module’s update is drawn here.
      </p>
    );
  const method = methodOf(catalogue, run.plan.method);
  if (method && !method.channels.includes('spectrum'))
    return (
      <p className={panel['quiet']}>
        {method.title} makes no update of low rank, so there is no spectrum to draw.
      </p>
    );
  if (rows.length === 0 || !seen)
    return <p className={panel['quiet']}>The first spectrum comes with the first checkpoint.</p>;
  const top = rows.reduce((most, row) => Math.max(most, row.values[0] ?? 0), 0);
  const longest = widest(rows);
  const cuttable = hasResult(run) && past === null;
  const table = () =>
    csv([
      ['module', 'effective rank', ...Array.from({ length: longest }, (_, i) => `sigma ${i + 1}`)],
      ...rows.map((r) => [r.path, effectiveRank(r.values), ...r.values]),
    ]);
  return (
    <div className={styles['rank']} data-testid="rank">
      <div className={styles['head']}>
        <p>
          Singular values of each update at step {seen.step}; bars reach {top.toPrecision(2)}. Effective rank
          counts the directions in use.
        </p>
        <IconButton
          small
          label="Save the spectra as CSV"
          onClick={() => save(`${run.name}-spectra.csv`, table(), 'text/csv')}
        >
          <Download aria-hidden />
        </IconButton>
      </div>
      {history && history.length > 1 && (
        <div className={styles['cut']}>
          <label>
            Moment
            <input
              type="range"
              min={0}
              max={history.length - 1}
              value={past ?? history.length - 1}
              aria-valuetext={`step ${history[past ?? history.length - 1]!.step}`}
              data-testid="rank-moment"
              onChange={(e) =>
                setPast(Number(e.target.value) === history.length - 1 ? null : Number(e.target.value))
              }
            />
            <output>step {seen.step}</output>
          </label>
        </div>
      )}
      {cuttable && <CutControls run={run} rows={rows} cutting={cutting} />}
      {cutting.error && <ErrorNote error={cutting.error} />}
      {cuttable && <CutCurves run={run} cutting={cutting} />}
      <table>
        <thead>
          <tr>
            <th scope="col">Module</th>
            <th scope="col">{cuttable ? 'Spectrum: drag to cut' : 'Spectrum'}</th>
            <th scope="col">Effective rank</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <SpectrumRow
              key={row.path}
              run={cuttable ? run.id : null}
              row={row}
              top={top}
              dense={longest > 32}
              ranks={cutting.ranks}
            />
          ))}
        </tbody>
      </table>
      {backbone && <HeatMap rows={rows} modules={backbone.modules} />}
    </div>
  );
}
