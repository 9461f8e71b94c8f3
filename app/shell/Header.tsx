import { Command, Menu as MenuIcon, Monitor, Moon, Sun } from 'lucide-react';
import { perform } from '../actions/index.ts';
import { printed } from '../actions/keys.ts';
import { IconButton } from '../parts/Button.tsx';
import { useMachine } from '../stores/machine.ts';
import { go, useView } from '../stores/view.ts';
import { StepPath } from './StepPath.tsx';
import styles from './shell.module.css';

export const isApple = (): boolean => /Mac|iPhone|iPad/.test(navigator.userAgent);

export function Header({ narrow }: { narrow: boolean }) {
  const theme = useView((s) => s.theme);
  const ThemeIcon = theme === 'dark' ? Moon : theme === 'light' ? Sun : Monitor;
  return (
    <header className={styles['header']}>
      {narrow && (
        <IconButton
          label="Runs, data sets and backbones"
          onClick={() => useView.setState({ sheet: 'library' })}
        >
          <MenuIcon aria-hidden />
        </IconButton>
      )}
      <span className={styles['brand']}>
        <Mark />
        Graft
      </span>
      {!narrow && <StepPath />}
      <div className={styles['headerEnd']}>
        {narrow ? (
          <IconButton label="Find a command" onClick={() => perform('palette')}>
            <Command aria-hidden />
          </IconButton>
        ) : (
          <button
            type="button"
            className={styles['paletteButton']}
            onClick={() => perform('palette')}
            aria-label="Find a command"
          >
            <kbd>{printed({ key: 'k', mod: true }, isApple())}</kbd>
          </button>
        )}
        <IconButton
          label={`Theme: ${theme === 'system' ? 'follows the system' : theme}. Change it`}
          onClick={() => perform('theme')}
        >
          <ThemeIcon aria-hidden />
        </IconButton>
        <MachinePill />
      </div>
    </header>
  );
}

/** A scion set into a stock: the grown part in the accent, the stock in grey. */
function Mark() {
  return (
    <svg
      width="20"
      height="20"
      viewBox="0 0 20 20"
      aria-hidden="true"
      fill="none"
      strokeWidth="2.25"
      strokeLinecap="round"
    >
      <path d="M10 18.5V11" stroke="var(--frozen-3)" />
      <path d="M10 11 4.5 5" stroke="var(--frozen-3)" />
      <path d="M10 13.5c0-4 1-7.500 5.500-9.500" stroke="var(--accent)" />
    </svg>
  );
}

function MachinePill() {
  const { status, machine, lost, offlineReady } = useMachine();
  const gone = lost !== null && !lost.recovered;
  const state =
    status === 'opening'
      ? 'opening'
      : status === 'failed' || gone
        ? 'lost'
        : machine?.backend === 'wasm'
          ? 'none'
          : machine?.software
            ? 'software'
            : 'ready';
  const words = {
    opening: 'Opening',
    lost: gone ? 'GPU lost' : 'Failed',
    none: 'No GPU',
    software: 'Software GPU',
    ready: 'GPU',
  }[state];
  return (
    <button
      type="button"
      className={styles['pill']}
      data-state={state}
      data-testid="machine"
      onClick={() => go('machine')}
      title="About this machine"
    >
      <span className={styles['dot']} aria-hidden="true" />
      {words}
      {offlineReady && <span className={styles['offline']}>offline ready</span>}
    </button>
  );
}
