import { useState } from 'react';
import { Button } from '../../parts/Button.tsx';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import { ProgressLine } from '../../parts/ProgressLine.tsx';
import { loadFromHub, useBackbones } from '../../stores/backbones.ts';
import { engine } from '../../stores/connection.ts';
import { useMachine } from '../../stores/machine.ts';
import styles from './backbone.module.css';

/** A model by its name or address on a hub; the hub's own address and a token under a fold. */
export function HubForm() {
  const [model, setModel] = useState('');
  const [token, setToken] = useState('');
  const { mirror, loading, error } = useBackbones();
  const usual = useMachine((s) => s.catalogue?.defaultHub) ?? '';
  const job = useMachine((s) => s.jobs['hub']);
  return (
    <form
      className={styles['hub']}
      aria-label="Load from the hub"
      onSubmit={(event) => {
        event.preventDefault();
        if (model.trim() !== '' && !loading) void loadFromHub({ model, hub: mirror, token });
      }}
    >
      <label htmlFor="hub-model">Load from the hub: id or URL</label>
      <div className={styles['hubLine']}>
        <input
          id="hub-model"
          type="text"
          value={model}
          placeholder="owner/name or owner/name@revision"
          spellCheck={false}
          autoComplete="off"
          data-testid="hub-model"
          onChange={(event) => setModel(event.target.value)}
        />
        <Button type="submit" disabled={loading || model.trim() === ''} data-testid="hub-load">
          Load
        </Button>
      </div>
      <details>
        <summary>Mirror and token</summary>
        <div className={styles['hubMore']}>
          <label htmlFor="hub-mirror">Address of the hub</label>
          <input
            id="hub-mirror"
            type="text"
            inputMode="url"
            value={mirror}
            placeholder={usual}
            spellCheck={false}
            autoComplete="off"
            data-testid="hub-mirror"
            onChange={(event) => useBackbones.setState({ mirror: event.target.value })}
          />
          <label htmlFor="hub-token">Access token, for gated models</label>
          <input
            id="hub-token"
            type="password"
            value={token}
            autoComplete="off"
            data-testid="hub-token"
            onChange={(event) => setToken(event.target.value)}
          />
          <p className={styles['quiet']}>
            The token is sent to that hub alone and forgotten when this page closes. Nothing about you or your
            data is sent.
          </p>
        </div>
      </details>
      {loading && job && (
        <div className={styles['hubLine']} data-testid="hub-progress">
          <ProgressLine progress={job} />
          <Button size="small" onClick={() => void engine().cancel('hub')}>
            Cancel
          </Button>
        </div>
      )}
      {error && <ErrorNote error={error} onDismiss={() => useBackbones.setState({ error: null })} />}
    </form>
  );
}
