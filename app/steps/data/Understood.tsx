import { Button } from '../../parts/Button.tsx';
import { removeDataset, useData } from '../../stores/data.ts';
import { remove } from '../../stores/runs.ts';
import styles from './data.module.css';

/** What the last drop was taken for, with one way to take it back; shown where the drop led. */
export function Understood({ kind }: { kind: 'dataset' | 'adapter' | 'backbone' }) {
  const understood = useData((s) => s.understood);
  if (understood?.kind !== kind) return null;
  const dismiss = () => useData.setState({ understood: null });
  const takeBack = async () => {
    if (understood.kind === 'dataset') await removeDataset(understood.dataset.id);
    if (understood.kind === 'adapter') await remove(understood.run.id);
    dismiss();
  };
  return (
    <div className={styles['understood']} role="status" data-testid="understood">
      <p>{understood.sentence}</p>
      {understood.kind !== 'backbone' && (
        <Button size="small" onClick={() => void takeBack()}>
          Not this, take it back
        </Button>
      )}
      <Button size="small" look="plain" onClick={dismiss}>
        Good
      </Button>
    </div>
  );
}
