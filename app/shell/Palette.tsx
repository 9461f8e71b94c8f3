import { Command } from 'cmdk';
import { Dialog as RadixDialog } from 'radix-ui';
import { actions, situation } from '../actions/index.ts';
import { answers, applies, nameOf, printed } from '../actions/keys.ts';
import type { Action } from '../actions/types.ts';
import { Dialog } from '../parts/Overlays.tsx';
import parts from '../parts/parts.module.css';
import { useData } from '../stores/data.ts';
import { chooseDataset } from '../stores/plan.ts';
import { hasResult, select, useRuns } from '../stores/runs.ts';
import { go, useView } from '../stores/view.ts';
import { stateWord } from '../text/runState.ts';
import { isApple } from './Header.tsx';
import styles from './shell.module.css';

const GROUPS: Action['group'][] = ['Run', 'Data', 'Result', 'Go', 'View'];
const close = () => useView.setState({ palette: false });

/** Every command that applies now, and every run and data set by name. */
export function Palette() {
  const open = useView((s) => s.palette);
  return (
    <RadixDialog.Root open={open} onOpenChange={(palette) => useView.setState({ palette })}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className={parts['overlay']} />
        <RadixDialog.Content className={styles['palette']} aria-describedby={undefined} data-testid="palette">
          <RadixDialog.Title className="visually-hidden">Find a command</RadixDialog.Title>
          {open && <Lines />}
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

function Lines() {
  const now = situation();
  const runs = useRuns((s) => s.runs);
  const datasets = useData((s) => s.datasets);
  const apple = isApple();
  const shown = actions.filter((action) => action.id !== 'palette' && applies(action, now));
  const run = (action: Action) => {
    close();
    void action.perform(now);
  };
  return (
    <Command label="Commands" loop filter={answers}>
      <Command.Input placeholder="Find a command, a run or a data set" />
      <Command.List>
        <Command.Empty>Nothing by that name.</Command.Empty>
        {GROUPS.map((group) => (
          <Command.Group key={group} heading={group}>
            {shown
              .filter((action) => action.group === group)
              .map((action) => (
                <Command.Item
                  key={action.id}
                  value={`${nameOf(action, now)} ${action.id}`}
                  keywords={action.keywords}
                  onSelect={() => run(action)}
                >
                  {nameOf(action, now)}
                  {action.key && <kbd>{printed(action.key, apple)}</kbd>}
                </Command.Item>
              ))}
          </Command.Group>
        ))}
        {runs.length > 0 && (
          <Command.Group heading="Runs">
            {runs.map((r) => (
              <Command.Item
                key={r.id}
                value={`${r.name} ${r.id}`}
                onSelect={() => {
                  close();
                  select(r.id);
                  go(hasResult(r) ? 'result' : 'train');
                }}
              >
                {r.name}
                <span className={styles['paletteSub']}>{stateWord(r.state)}</span>
              </Command.Item>
            ))}
          </Command.Group>
        )}
        {datasets.length > 0 && (
          <Command.Group heading="Data sets">
            {datasets.map((d) => (
              <Command.Item
                key={d.id}
                value={`${d.name} ${d.id}`}
                onSelect={() => {
                  close();
                  chooseDataset(d);
                  go('data');
                }}
              >
                {d.name}
              </Command.Item>
            ))}
          </Command.Group>
        )}
      </Command.List>
    </Command>
  );
}

/** Every key, read from the commands themselves. */
export function KeyList() {
  const open = useView((s) => s.keys);
  const now = situation();
  const keyed = actions.filter((action) => action.key);
  return (
    <Dialog open={open} title="Keys" onClose={() => useView.setState({ keys: false })}>
      <div className={styles['keys']} data-testid="key-list">
        {GROUPS.filter((group) => keyed.some((a) => a.group === group)).map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <ul>
              {keyed
                .filter((action) => action.group === group)
                .map((action) => (
                  <li key={action.id}>
                    {action.id === 'pause-resume' ? 'Pause or resume' : nameOf(action, now)}
                    <kbd>{printed(action.key!, isApple())}</kbd>
                  </li>
                ))}
            </ul>
          </section>
        ))}
        <section>
          <h3>Everywhere</h3>
          <ul>
            <li>
              Close what is open <kbd>Esc</kbd>
            </li>
            <li>
              A knob one step up or down <kbd>↑ ↓</kbd>
            </li>
            <li>
              Paste pictures or a zip <kbd>{printed({ key: 'v', mod: true }, isApple())}</kbd>
            </li>
          </ul>
        </section>
      </div>
    </Dialog>
  );
}
