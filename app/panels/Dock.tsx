import { ChevronDown, ChevronUp, Columns2, Square } from 'lucide-react';
import { Tabs } from 'radix-ui';
import { useState } from 'react';
import { IconButton } from '../parts/Button.tsx';
import { useView } from '../stores/view.ts';
import { panels } from './index.ts';
import styles from './panels.module.css';

/** Panels under the stage: one at a time, or all beside each other. */
export function Dock() {
  const open = useView((s) => s.dockOpen);
  const tab = useView((s) => s.dockTab);
  const [apart, setApart] = useState(false);
  const show = (id: string) => useView.setState({ dockTab: id, dockOpen: true });
  return (
    <section className={styles['dock']} data-open={open || undefined} aria-label="Panels">
      <Tabs.Root value={tab} onValueChange={show} activationMode="manual" className={styles['tabs']}>
        <div className={styles['bar']}>
          <Tabs.List aria-label="Panels" className={styles['list']}>
            {panels.map((panel) => (
              <Tabs.Trigger
                key={panel.id}
                value={panel.id}
                className={styles['tab']}
                data-testid={`panel-${panel.id}`}
                onClick={() => show(panel.id)}
              >
                {panel.title}
              </Tabs.Trigger>
            ))}
          </Tabs.List>
          {open && (
            <IconButton
              small
              label={apart ? 'One panel at a time' : 'Panels side by side'}
              onClick={() => setApart(!apart)}
            >
              {apart ? <Square aria-hidden /> : <Columns2 aria-hidden />}
            </IconButton>
          )}
          <IconButton
            small
            label={open ? 'Close the panels' : 'Open the panels'}
            aria-expanded={open}
            onClick={() => useView.setState({ dockOpen: !open })}
          >
            {open ? <ChevronDown aria-hidden /> : <ChevronUp aria-hidden />}
          </IconButton>
        </div>
        {panels.map((panel) => (
          <Tabs.Content
            key={panel.id}
            value={panel.id}
            className={styles['body']}
            hidden={!open || apart || tab !== panel.id}
          >
            {open && !apart && <panel.View />}
          </Tabs.Content>
        ))}
        {open && apart && (
          <div className={styles['apart']}>
            {panels.map((panel) => (
              // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the keyboard.
              <section key={panel.id} aria-label={panel.title} tabIndex={0}>
                <panel.View />
              </section>
            ))}
          </div>
        )}
      </Tabs.Root>
    </section>
  );
}

/** The panels in a sheet, on narrow screens. */
export function PanelView() {
  return (
    <div className={styles['sheet']}>
      {panels.map((panel) => (
        <section key={panel.id} aria-label={panel.title}>
          <h2>{panel.title}</h2>
          <panel.View />
        </section>
      ))}
    </div>
  );
}
