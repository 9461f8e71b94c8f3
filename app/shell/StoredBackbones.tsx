import { Play, Trash2 } from 'lucide-react';
import { useEffect } from 'react';
import type { StoredBackbone } from '../../workers/protocol.ts';
import { undoable } from '../actions/undoable.ts';
import { IconButton } from '../parts/Button.tsx';
import { listStored, loadFromHub, removeBackbone, useBackbones } from '../stores/backbones.ts';
import { go } from '../stores/view.ts';
import { bytes, plural } from '../text/format.ts';
import styles from './shell.module.css';

/** Backbones that this browser keeps: what each takes, and how to be rid of it. */
export function StoredBackbones() {
  const { stored, loading } = useBackbones();
  useEffect(() => void listStored(), []);
  if (!stored) return null;
  const total = stored.reduce((sum, b) => sum + b.bytes, 0);
  return (
    <section aria-label="Stored backbones" data-testid="stored-backbones">
      <h2>Stored backbones</h2>
      {stored.length === 0 ? (
        <p className={styles['lead']}>
          None. Backbones that you drop on the page or load from a hub are kept here.
        </p>
      ) : (
        <>
          <p className={styles['lead']}>
            {plural(stored.length, 'backbone')}, {bytes(total)} together.
          </p>
          <table>
            <thead className="visually-hidden">
              <tr>
                <th>Backbone</th>
                <th>Size</th>
                <th>What to do</th>
              </tr>
            </thead>
            <tbody>
              {stored.map((b) => (
                <Row key={b.id} backbone={b} busy={loading} />
              ))}
            </tbody>
          </table>
        </>
      )}
    </section>
  );
}

function Row({ backbone, busy }: { backbone: StoredBackbone; busy: boolean }) {
  const { id, title, source, request, missingBytes, runs } = backbone;
  const unfinished = missingBytes > 0 || request !== null;
  return (
    <tr data-testid={`stored-${id}`}>
      <th scope="row">
        {title}
        <small>
          {source}
          {runs > 0 && `; ${plural(runs, 'run')} here ${runs === 1 ? 'needs' : 'need'} it`}
        </small>
      </th>
      <td style={{ whiteSpace: 'nowrap' }}>
        {bytes(backbone.bytes)}
        {unfinished && ` of ${bytes(backbone.bytes + missingBytes)}`}
      </td>
      <td style={{ whiteSpace: 'nowrap' }}>
        {request && (
          <IconButton
            small
            label={`Go on loading ${title}`}
            disabled={busy}
            onClick={() => {
              go('backbone');
              void loadFromHub({ ...request, token: '' });
            }}
          >
            <Play aria-hidden />
          </IconButton>
        )}
        <IconButton
          small
          label={`Remove ${title}`}
          disabled={busy && request !== null}
          onClick={async () => {
            const restore = await removeBackbone(backbone);
            if (restore) undoable(`Removed ${title}`, restore);
          }}
        >
          <Trash2 aria-hidden />
        </IconButton>
      </td>
    </tr>
  );
}
