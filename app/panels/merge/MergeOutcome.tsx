import { Download } from 'lucide-react';
import type { MergePreview } from '../../../workers/protocol.ts';
import { Button } from '../../parts/Button.tsx';
import { cutMerge, downloadMerge, type MergeFile, useMerge } from '../../stores/merge.ts';
import { bytes, count, percent, plural } from '../../text/format.ts';
import styles from './merge.module.css';

/** What the sum is, its rank, and its files. */
export function MergeOutcome({ found }: { found: MergePreview }) {
  const { rank, writing, busy, parts } = useMerge();
  const file = (as: MergeFile, label: string, disabled = false) => (
    <Button
      size="small"
      disabled={disabled || writing !== null}
      data-testid={`merge-download-${as}`}
      onClick={() => void downloadMerge(as)}
    >
      <Download aria-hidden /> {writing === as ? 'Writing the file' : label}
    </Button>
  );
  return (
    <div className={styles['outcome']}>
      <p aria-live="polite" data-testid="merge-outcome">
        {busy ? 'Adding …' : sentence(found, parts.length)}
      </p>
      {found.form === 'low-rank' && found.width !== null && found.width > 0 && (
        <RankCut found={found} rank={rank} />
      )}
      {found.onlyMerged && <p className={styles['quiet']}>{found.onlyMerged}</p>}
      <div className={styles['files']}>
        {file(
          'adapter',
          `Adapter${found.fileBytes ? `, ${bytes(found.fileBytes)}` : ''}`,
          found.onlyMerged !== null,
        )}
        {file('model', 'Merged model, safetensors')}
        {file('onnx', 'Merged model, ONNX')}
      </div>
    </div>
  );
}

function sentence(found: MergePreview, adapters: number): string {
  const classes = plural(found.classes.length, 'class', 'classes');
  if (found.form === 'low-rank' && !found.width)
    return `One head for ${classes}; the backbone stays as it is.`;
  if (found.form === 'low-rank')
    return `One LoRA for ${classes}. Whole, it has the ranks of all ${adapters} and is exact.`;
  if (found.form === 'sparse')
    return `One SHiRA for ${classes}, ${count(found.width ?? 0)} entries in the fullest module; ${percent(found.overlap ?? 0, 2)} of the entries are changed by more than one adapter.`;
  return `Merged weights for ${classes}.`;
}

/** The rank of the sum, and what a cut keeps of it. */
function RankCut({ found, rank }: { found: MergePreview; rank: number | null }) {
  const whole = useMerge((s) => s.whole);
  const most = rank === null ? (found.width ?? 1) : Math.max(whole ?? 1, rank);
  return (
    <div className={styles['cut']}>
      <label>
        Rank of the sum
        <input
          type="range"
          min={1}
          max={most}
          value={rank ?? most}
          data-testid="merge-rank"
          onChange={(e) => cutMerge(Number(e.target.value) >= most ? null : Number(e.target.value))}
        />
        <output>
          {rank ?? most} of {most}
        </output>
      </label>
      <span>
        {rank === null ? 'exact' : `nearest sum of that rank; energy kept ${percent(found.energy)}`}
      </span>
    </div>
  );
}
