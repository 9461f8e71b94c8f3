import { Download, Timer } from 'lucide-react';
import type { Machine, Profile, RunView } from '../../../workers/protocol.ts';
import { Button, IconButton } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { save } from '../../parts/save.ts';
import { useMachine } from '../../stores/machine.ts';
import { profile, selectedRun, useRuns } from '../../stores/runs.ts';
import { csv } from '../../text/csv.ts';
import { bytes, compact, percent, three } from '../../text/format.ts';
import styles from '../panels.module.css';
import { type Figures, figuresOf } from './figures.ts';

const NONE = '–';

/** Why no step can be timed, in words; null where one can. */
export function profileBlock(machine: Machine | null, run: RunView | null): string | null {
  if (machine?.backend === 'wasm') return 'The processor trains here: there are no GPU kernels to time.';
  if (machine && !machine.features.includes('timestamp-query'))
    return 'This browser or this device gives no GPU timestamps, so kernels cannot be timed one by one. The curve of milliseconds a step is on the Train step.';
  if (!run) return 'Choose or start a run: one of its steps is timed here, kernel by kernel.';
  if (run.state === 'imported') return 'This adapter came without pictures, so there is no step to time.';
  if (run.state === 'failed') return 'This run failed; there is no step to time.';
  if (run.state === 'interrupted') return 'Resume this run to time one of its steps.';
  if (run.state === 'queued' || run.state === 'preparing')
    return 'The first step comes after the preparation; it can be timed then.';
  return null;
}

/** GPU time of one training step by kernel. */
export function ProfilePanel() {
  const run = useRuns(selectedRun);
  const machine = useMachine((s) => s.machine);
  const found = useRuns((s) => (run ? s.profiles[run.id] : undefined));
  const block = profileBlock(machine, run);
  if (!run || block) return <p className={styles['quiet']}>{block}</p>;
  const running = found === 'running';
  const known = found && found !== 'running' && 'kernels' in found ? found : null;
  const failed = found && found !== 'running' && !('kernels' in found) ? found : null;
  return (
    <div className={styles['profile']} data-testid="profile">
      <div className={styles['profileHead']}>
        <Button
          size="small"
          data-testid="profile-step"
          aria-disabled={running || undefined}
          onClick={() => !running && void profile(run.id)}
        >
          <Timer aria-hidden />
          {running ? 'Timing a step…' : 'Profile one step'}
        </Button>
        {known ? (
          <Summary profile={known} />
        ) : (
          <p>Times the next step without taking it: the run’s numbers stay as they are.</p>
        )}
        {known && (
          <IconButton
            small
            label="Save the profile as CSV"
            onClick={() => save(`${run.name}-profile.csv`, tableOf(known), 'text/csv')}
          >
            <Download aria-hidden />
          </IconButton>
        )}
      </div>
      {failed && <ErrorNote error={failed} />}
      {known && <Kernels profile={known} />}
    </div>
  );
}

function Summary({ profile: p }: { profile: Profile }) {
  const { whole } = figuresOf(p);
  return (
    <p>
      The step after step {p.step} takes {three(whole.ms)} ms of GPU time in {whole.count} dispatches
      {whole.rate !== null && `, ${compact(whole.rate)}FLOP/s`}
      {whole.ofFloor !== null &&
        `: ${percent(whole.ofFloor, 0)} of what a plain product reaches here (${compact(p.productRate)}FLOP/s)`}
      .
    </p>
  );
}

const HEADS = ['Kernel', 'Times', 'ms', 'Of the step', 'FLOP/s', 'Of the floor', 'Bytes/s'];

function cells(f: Figures): string[] {
  return [
    f.rate === null ? NONE : `${compact(f.rate)}`,
    f.ofFloor === null ? NONE : percent(f.ofFloor, 0),
    f.traffic === null ? NONE : bytes(f.traffic),
  ];
}

function Kernels({ profile: p }: { profile: Profile }) {
  const { rows } = figuresOf(p);
  const top = rows[0]?.share ?? 1;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the keyboard.
    <section className={styles['profileTable']} tabIndex={0} aria-label="GPU time by kernel">
      <table>
        <thead>
          <tr>
            {HEADS.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.label}>
              <th scope="row">{row.label}</th>
              <td>{row.count}</td>
              <td>{three(row.ms)}</td>
              <td>
                <i style={{ width: `${(row.share / top) * 64}px` }} aria-hidden="true" />
                {percent(row.share)}
              </td>
              {cells(row).map((cell, i) => (
                <td key={HEADS[i + 4]}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function tableOf(p: Profile): string {
  return csv([
    ['kernel', 'dispatches', 'ms', 'flops', 'bytes', 'share of the floor'],
    ...p.kernels.map((k) => {
      const { ofFloor } = figuresOf({ ...p, kernels: [k] }).whole;
      return [k.label, k.count, k.ms, k.flops, k.bytes, ofFloor];
    }),
  ]);
}
