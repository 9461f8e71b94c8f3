import { useEffect } from 'react';
import type { DatasetView } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { isScore, neighbourKey, scoreNeighbours, useData } from '../../stores/data.ts';
import { useMachine } from '../../stores/machine.ts';
import { backboneOf, sampleSizeOf, settingsOf, usePlan } from '../../stores/plan.ts';
import { interval, percent } from '../../text/format.ts';
import styles from './data.module.css';

const SETTLE_MS = 1000;

/** What the frozen backbone knows before anything is trained: nearest neighbours on its features. */
export function NeighbourChip({ dataset }: { dataset: DatasetView }) {
  const { catalogue, machine, jobs } = useMachine();
  const plan = usePlan();
  const backbone = backboneOf(catalogue, plan.backbone);
  const found = useData((s) =>
    backbone ? s.neighbours[neighbourKey(dataset.id, dataset.hash, backbone.id)] : undefined,
  );
  const job = jobs['neighbours'];
  const quick = machine?.backend === 'webgpu' && !machine.software;
  const size = backbone ? sampleSizeOf(backbone, settingsOf(plan)) : 0;
  const enough =
    dataset.counts.train > 0 && dataset.counts.val + dataset.counts.test > 0 && dataset.classes.length > 1;
  useEffect(() => {
    if (!quick || !enough || !backbone || found !== undefined) return;
    // Edits come in bursts (captures, clean-ups); scoring waits until they pause.
    const timer = setTimeout(() => void scoreNeighbours(dataset, backbone.id, size), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [quick, enough, backbone, found, dataset, size]);
  if (!backbone || !enough) return null;
  if (isScore(found))
    return (
      <p
        className={styles['neighbours']}
        data-testid="neighbour-score"
        title={`${found.k} nearest neighbours on ${found.n} held-out samples`}
      >
        {backbone.title} alone knows <strong>{percent(found.accuracy)}</strong>{' '}
        <small>({interval(found.low, found.high)})</small>
      </p>
    );
  if (job)
    return (
      <p className={styles['neighbours']}>
        {job.phase} {job.done} of {job.total}
      </p>
    );
  return (
    <p className={styles['neighbours']}>
      {found && <span>{found.message} </span>}
      <Button
        size="small"
        onClick={() => void scoreNeighbours(dataset, backbone.id, size)}
        data-testid="neighbours"
      >
        What does the frozen backbone know?
      </Button>
    </p>
  );
}
