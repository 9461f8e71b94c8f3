import { Download } from 'lucide-react';
import { useMemo } from 'react';
import type { Spectrum } from '../../../workers/protocol.ts';
import { IconButton } from '../../parts/Button.tsx';
import { save } from '../../parts/save.ts';
import { lightsModule, litModule, pinModule, useHover } from '../../stores/hover.ts';
import { useMachine } from '../../stores/machine.ts';
import { backboneOf, methodOf } from '../../stores/plan.ts';
import { selectedRun, useRuns } from '../../stores/runs.ts';
import { csv } from '../../text/csv.ts';
import { three } from '../../text/format.ts';
import { effectiveRank } from '../../text/spectrum.ts';
import styles from '../panels.module.css';

/** Spectra in network order; paths that the backbone does not list come last, as they came. */
export function inOrder(spectra: readonly Spectrum[], paths: readonly string[]): Spectrum[] {
  const place = new Map(paths.map((path, i) => [path, i]));
  return [...spectra].sort((a, b) => (place.get(a.path) ?? Infinity) - (place.get(b.path) ?? Infinity) || 0);
}

/** Singular values of every adapted module's update, a row a module, from the input down. */
export function RankPanel() {
  const run = useRuns(selectedRun);
  const found = useRuns((s) => (run ? s.spectra[run.id] : undefined));
  const catalogue = useMachine((s) => s.catalogue);
  const rows = useMemo(() => {
    const backbone = backboneOf(catalogue, run?.plan.backbone ?? null);
    return inOrder(found?.spectra ?? [], backbone?.modules.map((m) => m.path) ?? []);
  }, [found, catalogue, run?.plan.backbone]);
  if (!run)
    return (
      <p className={styles['quiet']}>
        Choose or start a run: the spectrum of each module’s update is drawn here.
      </p>
    );
  const method = methodOf(catalogue, run.plan.method);
  if (method && !method.channels.includes('spectrum'))
    return (
      <p className={styles['quiet']}>{method.title} adds no matrices, so there is no spectrum to draw.</p>
    );
  if (rows.length === 0)
    return <p className={styles['quiet']}>The first spectrum comes with the first checkpoint.</p>;
  const top = rows.reduce((most, row) => Math.max(most, row.values[0] ?? 0), 0);
  const longest = rows.reduce((most, row) => Math.max(most, row.values.length), 0);
  const table = () =>
    csv([
      ['module', 'effective rank', ...Array.from({ length: longest }, (_, i) => `sigma ${i + 1}`)],
      ...rows.map((r) => [r.path, effectiveRank(r.values), ...r.values]),
    ]);
  return (
    <div className={styles['rank']} data-testid="rank">
      <div className={styles['rankHead']}>
        <p>
          Singular values of each update at step {found!.step}; bars reach {top.toPrecision(2)}. Effective
          rank counts the directions in use.
        </p>
        <IconButton
          small
          label="Save the spectra as CSV"
          onClick={() => save(`${run.name}-spectra.csv`, table(), 'text/csv')}
        >
          <Download aria-hidden />
        </IconButton>
      </div>
      <table>
        <thead>
          <tr>
            <th scope="col">Module</th>
            <th scope="col">Spectrum</th>
            <th scope="col">Effective rank</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.path} row={row} top={top} longest={longest} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

const BAR = 10;
const HEIGHT = 24;

function Row({ row, top, longest }: { row: Spectrum; top: number; longest: number }) {
  const lit = useHover((s) => litModule(s) === row.path);
  const step = longest > 32 ? 4 : BAR;
  const height = (v: number) => (top > 0 ? Math.max(1, (v / top) * HEIGHT) : 1);
  return (
    <tr data-lit={lit || undefined} {...lightsModule(row.path)}>
      <th scope="row" title={`${row.path}, ${row.shape.join(' × ')}`}>
        <button type="button" onClick={() => pinModule(row.path)}>
          {row.path}
        </button>
      </th>
      <td>
        <svg
          width={row.values.length * step}
          height={HEIGHT}
          role="img"
          aria-label={`${row.values.length} singular values from ${three(row.values[0] ?? 0)} to ${three(row.values.at(-1) ?? 0)}`}
        >
          {row.values.map((v, i) => (
            <rect
              // biome-ignore lint/suspicious/noArrayIndexKey: a singular value is known by its place.
              key={i}
              x={i * step}
              y={HEIGHT - height(v)}
              width={step - (step > 4 ? 2 : 1)}
              height={height(v)}
              fill="var(--accent)"
            />
          ))}
        </svg>
      </td>
      <td>
        {effectiveRank(row.values).toFixed(1)} <small>of {row.values.length}</small>
      </td>
    </tr>
  );
}
