import type { ModuleCard } from '../../../models/describe.ts';
import type { Spectrum } from '../../../workers/protocol.ts';
import { lightsModule, litModule, useHover } from '../../stores/hover.ts';
import { css, inkOn, ramp } from '../../text/colour.ts';
import { effectiveRank } from '../../text/spectrum.ts';
import styles from './rank.module.css';

/** Where the rank went: effective rank by block (columns) and kind of module (rows). */
export function HeatMap({ rows, modules }: { rows: Spectrum[]; modules: readonly ModuleCard[] }) {
  const block = new Map(modules.map((m) => [m.path, m.block]));
  const kind = (path: string) => path.split('.').at(-1)!;
  const kinds = [...new Set(rows.map((r) => kind(r.path)))];
  const blocks = [...new Set(rows.map((r) => block.get(r.path) ?? 0))].sort((a, b) => a - b);
  const lit = useHover(litModule);
  if (blocks.length < 2) return null;
  const most = Math.max(1, ...rows.map((r) => effectiveRank(r.values)));
  return (
    <div className={styles['heat']}>
      <table>
        <caption>Effective rank by block</caption>
        <thead>
          <tr>
            <th scope="col">Module</th>
            {blocks.map((b) => (
              <th scope="col" key={b}>
                {b}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {kinds.map((name) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {blocks.map((b) => {
                const row = rows.find((r) => kind(r.path) === name && (block.get(r.path) ?? 0) === b);
                if (!row) return <td key={b} />;
                const value = effectiveRank(row.values);
                const colour = ramp(value / most);
                return (
                  <td
                    key={b}
                    data-value={value}
                    data-lit={lit === row.path || undefined}
                    title={row.path}
                    style={{ background: css(colour), color: inkOn(colour) }}
                    {...lightsModule(row.path)}
                  >
                    {value.toFixed(1)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
