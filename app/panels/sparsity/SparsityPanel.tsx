import { type CSSProperties, type ReactNode, useEffect, useState } from 'react';
import type { MaskView, RunView } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { lightsModule, litModule, useHover } from '../../stores/hover.ts';
import { useMachine } from '../../stores/machine.ts';
import { editMask, layOver, loadMasks, masksOf, openModule, useMasks } from '../../stores/masks.ts';
import { methodOf } from '../../stores/plan.ts';
import { selectedRun, useRuns } from '../../stores/runs.ts';
import { count, percent } from '../../text/format.ts';
import panel from '../panels.module.css';
import { MaskMap } from './MaskMap.tsx';
import { overlapOf, type Rectangle } from './pyramid.ts';
import { Renewal } from './Renewal.tsx';
import styles from './sparsity.module.css';

/** Which weights a run trains: density by module, each mask down to single weights, and a brush. */
export function SparsityPanel() {
  const run = useRuns(selectedRun);
  const catalogue = useMachine((s) => s.catalogue);
  const masks = useMasks((s) => masksOf(run?.id ?? null, s));
  const method = run ? methodOf(catalogue, run.plan.method) : undefined;
  const sparse = method?.channels.includes('mask') ?? false;
  const { id, state } = run ?? {};
  useEffect(() => {
    if (id && sparse && state !== 'queued' && state !== 'preparing') void loadMasks(id);
  }, [id, sparse, state]);
  if (!run)
    return (
      <p className={panel['quiet']}>Choose or start a run: the weights that it trains are drawn here.</p>
    );
  if (!sparse)
    return (
      <p className={panel['quiet']}>
        {method?.title ?? 'This method'} trains no chosen part of the weights, so there is no mask to draw.
      </p>
    );
  if (masks.error && !masks.views) return <ErrorNote error={masks.error} />;
  if (!masks.views)
    return <p className={panel['quiet']}>The mask is chosen when the run has been prepared.</p>;
  return <Masks run={run} views={masks.views} />;
}

function Masks({ run, views }: { run: RunView; views: MaskView[] }) {
  const { busy, error, cost } = useMasks((s) => masksOf(run.id, s));
  const module = useMasks((s) => s.module);
  const otherRun = useMasks((s) => s.other);
  const others = useMasks((s) => masksOf(otherRun, s).views);
  const runs = useRuns((s) => s.runs);
  const [marked, setMarked] = useState<Rectangle | null>(null);
  const open = views.find((v) => v.path === module) ?? views[0];
  const laid = others?.find((v) => v.path === open?.path) ?? null;
  const fits = laid && open && laid.rows === open.rows && laid.columns === open.columns ? laid : null;
  useEffect(() => {
    if (otherRun) void loadMasks(otherRun);
  }, [otherRun]);
  if (!open) return <p className={panel['quiet']}>The run trains no chosen part of any module.</p>;
  const paint = (mode: 'in' | 'out') => {
    void editMask(run.id, {
      path: open.path,
      mode,
      part: marked ?? { top: 0, left: 0, bottom: open.rows, right: open.columns },
    }).then(() => setMarked(null));
  };
  const canEdit = run.state === 'running' || run.state === 'paused';
  const sparseRuns = runs.filter((r) => r.id !== run.id && r.plan.method === run.plan.method);
  return (
    <div className={styles['sparsity']} data-testid="sparsity" data-tall>
      <Densities
        views={views}
        others={others}
        open={open.path}
        onOpen={(path) => {
          setMarked(null);
          openModule(path);
        }}
      />
      <div className={styles['stage']}>
        <MaskMap mask={open} other={fits} marked={marked} onMark={setMarked} />
        <div className={styles['tools']}>
          <span className={styles['what']}>
            {marked
              ? `Rows ${marked.top}–${marked.bottom - 1}, columns ${marked.left}–${marked.right - 1}`
              : canEdit
                ? 'The whole matrix; drag over the map to mark a part'
                : 'Masks are painted while the run trains or is paused'}
          </span>
          <Button size="small" disabled={busy || !canEdit} data-testid="mask-in" onClick={() => paint('in')}>
            Paint in
          </Button>
          <Button
            size="small"
            disabled={busy || !canEdit}
            data-testid="mask-out"
            onClick={() => paint('out')}
          >
            Paint out
          </Button>
          {sparseRuns.length > 0 && (
            <label>
              Lay over
              <select value={otherRun ?? ''} onChange={(e) => layOver(e.target.value || null)}>
                <option value="">none</option>
                {sparseRuns.map((r) => (
                  <option key={r.id} value={r.id}>
                    {r.name}
                  </option>
                ))}
              </select>
            </label>
          )}
          {fits && (
            <>
              <Key colour="--accent">this run</Key>
              <Key colour="--warn">{runs.find((r) => r.id === otherRun)?.name}</Key>
              <Key colour="--ink">both</Key>
            </>
          )}
          {fits && (
            <span>
              {count(overlapOf(open.indices, fits.indices))} weights in both (
              {percent(overlapOf(open.indices, fits.indices) / Math.max(1, open.indices.length))})
            </span>
          )}
        </div>
        <Renewal run={run} views={views} open={open} disabled={busy || !canEdit} />
        {cost && (
          <p className={styles['what']} aria-live="polite" data-testid="mask-cost">
            The change took accuracy from {percent(cost.before.accuracy)} to {percent(cost.after.accuracy)} on{' '}
            {count(cost.after.n)} pictures, before any further training.
          </p>
        )}
        {error && <ErrorNote error={error} />}
      </div>
    </div>
  );
}

function Key({ colour, children }: { colour: string; children: ReactNode }) {
  return (
    <span className={styles['key']} style={{ '--swatch': `var(${colour})` } as CSSProperties}>
      {children}
    </span>
  );
}

interface DensitiesProps {
  views: MaskView[];
  others: MaskView[] | null;
  open: string;
  onOpen(path: string): void;
}

/** A row a module: its share of trained weights as a bar. */
function Densities({ views, others, open, onOpen }: DensitiesProps) {
  const lit = useHover(litModule);
  const density = (v: MaskView) => v.indices.length / (v.rows * v.columns);
  const most = Math.max(1e-9, ...views.map(density), ...(others ?? []).map(density));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the keyboard.
    <section className={styles['list']} tabIndex={0} aria-label="Modules">
      <table className={styles['densities']}>
        <caption>Trained share by module</caption>
        <tbody>
          {views.map((v) => (
            <tr key={v.path} data-lit={lit === v.path || undefined} {...lightsModule(v.path)}>
              <th scope="row">
                <button type="button" aria-pressed={v.path === open} onClick={() => onOpen(v.path)}>
                  {v.path}
                </button>
              </th>
              <td>
                <span aria-hidden="true">
                  <span style={{ width: `${(100 * density(v)) / most}%` }} />
                </span>
              </td>
              <td>{percent(density(v), 2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
