import type { Spectrum } from '../../../workers/protocol.ts';
import { lightsModule, litModule, pinModule, useHover } from '../../stores/hover.ts';
import { cutTo } from '../../stores/ranks.ts';
import { three } from '../../text/format.ts';
import { effectiveRank } from '../../text/spectrum.ts';
import styles from './rank.module.css';

const HEIGHT = 24;

interface Props {
  /** The run whose adapter may be cut; null where it may not. */
  run: string | null;
  row: Spectrum;
  /** The largest singular value of all rows. */
  top: number;
  /** Thin bars, for many. */
  dense: boolean;
  ranks: Record<string, number>;
}

/** One module's singular values as bars; those that the cut leaves out are hollow. */
export function SpectrumRow({ run, row, top, dense, ranks }: Props) {
  const lit = useHover((s) => litModule(s) === row.path);
  const step = dense ? 4 : 10;
  const width = row.values.length * step;
  const height = (v: number) => (top > 0 ? Math.max(1, (v / top) * HEIGHT) : 1);
  const kept = Math.min(ranks[row.path] ?? row.values.length, row.values.length);
  return (
    <tr data-lit={lit || undefined} {...lightsModule(row.path)}>
      <th scope="row" title={`${row.path}, ${row.shape.join(' × ')}`}>
        <button type="button" onClick={() => pinModule(row.path)}>
          {row.path}
        </button>
      </th>
      <td>
        <span className={styles['bars']}>
          <svg
            width={width}
            height={HEIGHT}
            role="img"
            aria-label={`${row.values.length} singular values from ${three(row.values[0] ?? 0)} to ${three(row.values.at(-1) ?? 0)}`}
          >
            {row.values.map((v, i) => (
              <rect
                // biome-ignore lint/suspicious/noArrayIndexKey: a singular value is known by its place.
                key={i}
                x={i * step + 0.5}
                y={HEIGHT - height(v) + 0.5}
                width={step - (step > 4 ? 3 : 2)}
                height={Math.max(0.5, height(v) - 1)}
                fill={i < kept ? 'var(--accent)' : 'none'}
                stroke={i < kept ? 'var(--accent)' : 'var(--frozen-3)'}
              />
            ))}
          </svg>
          {run !== null && (
            <input
              type="range"
              min={0}
              max={row.values.length}
              value={kept}
              style={{ width: width + 10 }}
              aria-label={`Rank of ${row.path}`}
              onChange={(e) => void cutTo(run, { ...ranks, [row.path]: Number(e.target.value) })}
            />
          )}
        </span>
      </td>
      <td>
        {effectiveRank(row.values).toFixed(1)}{' '}
        <small>
          of {kept < row.values.length ? `${kept} / ` : ''}
          {row.values.length}
        </small>
      </td>
    </tr>
  );
}
