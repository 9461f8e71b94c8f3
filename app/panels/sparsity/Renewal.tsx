import { useState } from 'react';
import type { MaskView, RunView } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { useMachine } from '../../stores/machine.ts';
import { renewMasks } from '../../stores/masks.ts';
import { methodOf } from '../../stores/plan.ts';
import { percent } from '../../text/format.ts';
import styles from './sparsity.module.css';

interface Props {
  run: RunView;
  views: MaskView[];
  open: MaskView;
  disabled: boolean;
}

type Reach = 'open' | 'alike' | 'all';

const ending = (path: string): string => path.split('.').at(-1)!;
const density = (v: MaskView): number => v.indices.length / (v.rows * v.columns);

/** Chooses masks anew by one of the criteria that the method itself offers. */
export function Renewal({ run, views, open, disabled }: Props) {
  const catalogue = useMachine((s) => s.catalogue);
  const setting = methodOf(catalogue, run.plan.method)?.settings.find((s) => s.key === 'mask');
  const began = String(run.plan.settings['mask'] ?? setting?.default ?? '');
  const [criterion, setCriterion] = useState(began);
  const [reach, setReach] = useState<Reach>('open');
  const [share, setShare] = useState(1);
  const [seed, setSeed] = useState(1);
  if (!setting?.options) return null;
  const alike = views.filter((v) => ending(v.path) === ending(open.path));
  const paths = { open: [open.path], alike: alike.map((v) => v.path), all: null }[reach];
  // What the run began with is the most that it has values for.
  const most = Math.max(
    ...(paths === null ? views : views.filter((v) => paths.includes(v.path))).map(density),
  );
  const room = Math.max(most, Number(run.plan.settings['density'] ?? 0) / 100);
  const renew = () => {
    setSeed(seed + 1);
    void renewMasks(run.id, { paths, criterion, density: 100 * room * share, seed });
  };
  return (
    <div className={styles['tools']} data-testid="mask-renewal">
      <span className={styles['what']}>Choose anew</span>
      <label>
        by
        <select value={criterion} data-testid="mask-criterion" onChange={(e) => setCriterion(e.target.value)}>
          {setting.options.map((o) => (
            <option key={o.value} value={o.value}>
              {o.label}
            </option>
          ))}
        </select>
      </label>
      <label>
        in
        <select value={reach} data-testid="mask-reach" onChange={(e) => setReach(e.target.value as Reach)}>
          <option value="open">this module</option>
          {alike.length > 1 && (
            <option value="alike">
              all {alike.length} {ending(open.path)}
            </option>
          )}
          <option value="all">all {views.length} modules</option>
        </select>
      </label>
      <label>
        density
        <input
          type="range"
          min={0.05}
          max={1}
          step={0.05}
          value={share}
          aria-label="Density of the new masks"
          aria-valuetext={percent(room * share, 2)}
          data-testid="mask-density"
          onChange={(e) => setShare(Number(e.target.value))}
        />
        <output>{percent(room * share, 2)}</output>
      </label>
      <Button size="small" disabled={disabled} data-testid="mask-renew" onClick={renew}>
        Choose
      </Button>
    </div>
  );
}
