import { Check, ChevronDown, Download } from 'lucide-react';
import { DropdownMenu } from 'radix-ui';
import { Button, IconButton } from '../../parts/Button.tsx';
import { Menu } from '../../parts/Overlays.tsx';
import parts from '../../parts/parts.module.css';
import { save } from '../../parts/save.ts';
import { pick, useCompare } from '../../stores/compare.ts';
import { useRuns } from '../../stores/runs.ts';
import { moment } from '../../text/format.ts';
import { stateWord } from '../../text/runState.ts';
import type { Compared } from './ComparePanel.tsx';
import styles from './compare.module.css';
import type { Difference } from './differing.ts';
import { comparisonCsv, comparisonLatex } from './tables.ts';

/** Chooses the runs; the menu stays open while it is gone through. */
export function RunPicker({ chosen }: { chosen: Compared[] }) {
  const runs = useRuns((s) => s.runs).filter((run) => run.state !== 'imported');
  const picked = useCompare((s) => s.picked);
  const taken = new Set(chosen.map((c) => c.run.id));
  if (runs.length === 0) return null;
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <Button size="small" data-testid="compare-choose">
          {chosen.length} of {runs.length} runs <ChevronDown aria-hidden />
        </Button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          className={`${parts['menu']} ${styles['picker']}`}
          align="start"
          sideOffset={4}
          aria-label="Runs to compare"
        >
          {runs.map((run) => (
            <DropdownMenu.CheckboxItem
              key={run.id}
              className={`${parts['menuItem']} ${styles['pick']}`}
              checked={taken.has(run.id)}
              onSelect={(event) => event.preventDefault()}
              onCheckedChange={() =>
                pick(
                  run.id,
                  chosen.map((c) => c.run),
                )
              }
            >
              <span className={styles['tick']}>
                <DropdownMenu.ItemIndicator>
                  <Check aria-hidden />
                </DropdownMenu.ItemIndicator>
              </span>
              <span>{run.name}</span>
              <small>
                {stateWord(run.state)} · {moment(run.createdAt)}
              </small>
            </DropdownMenu.CheckboxItem>
          ))}
          {picked && (
            <DropdownMenu.Item
              className={`${parts['menuItem']} ${styles['again']}`}
              onSelect={() => useCompare.setState({ picked: null })}
            >
              All on the same data and backbone
            </DropdownMenu.Item>
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

/** The table as files, rows as they are sorted. */
export function TableFiles({ chosen, differences }: { chosen: Compared[]; differences: Difference[] }) {
  const runs = chosen.map((c) => c.run);
  return (
    <Menu
      label="Save the comparison"
      trigger={
        <IconButton small label="Save the comparison as a file" data-testid="compare-save">
          <Download aria-hidden />
        </IconButton>
      }
      entries={[
        {
          label: 'Table as CSV',
          perform: () => save('comparison.csv', comparisonCsv(runs, differences), 'text/csv'),
        },
        {
          label: 'Table as LaTeX',
          perform: () => save('comparison.tex', comparisonLatex(runs, differences), 'application/x-tex'),
        },
      ]}
    />
  );
}
