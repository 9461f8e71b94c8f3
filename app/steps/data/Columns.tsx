import { useEffect, useState } from 'react';
import type { BackboneCard } from '../../../models/describe.ts';
import type {
  DatasetView,
  StudioError,
  TableView,
  TextColumns,
  TokenView,
} from '../../../workers/protocol.ts';
import { ErrorNote } from '../../parts/ErrorNote.tsx';
import parts from '../../parts/parts.module.css';
import { asStudioError, engine } from '../../stores/connection.ts';
import { chooseColumns } from '../../stores/data.ts';
import { useMachine } from '../../stores/machine.ts';
import { backboneOf, sampleSizeOf, settingsOf, usePlan } from '../../stores/plan.ts';
import { plural } from '../../text/format.ts';
import styles from './texts.module.css';

/** Which columns of a table are read, its first rows, and one of its texts as the backbone reads it. */
export function Columns({ dataset, table }: { dataset: DatasetView; table: TableView }) {
  const { columns, chosen, rows } = table;
  const change = (next: Partial<TextColumns>) => void chooseColumns(dataset.id, { ...chosen, ...next });
  const roles: Record<string, string> = {};
  if (chosen.label !== null) roles[chosen.label] = 'label';
  if (chosen.pair !== null) roles[chosen.pair] = 'second text';
  roles[chosen.text] = 'text';
  const { task = 'classification' } = chosen;
  const answer = task === 'causal-lm' && chosen.pair !== null;
  if (answer) {
    roles[chosen.text] = 'question';
    roles[chosen.pair!] = 'answer';
  }
  return (
    <section className={styles['columns']} aria-label="Columns" data-testid="columns">
      <div className={styles['choices']}>
        <Learn task={task} onChange={(next) => change({ task: next })} />
        <Choice
          label="Text"
          value={chosen.text}
          columns={columns}
          onChange={(text) => text && change({ text })}
        />
        <Choice
          label={task === 'causal-lm' ? 'Answer' : 'Second text'}
          none="none"
          value={chosen.pair}
          columns={columns}
          onChange={(pair) => change({ pair })}
        />
        {task === 'classification' && (
          <Choice
            label="Label"
            none="choose a column"
            value={chosen.label}
            columns={columns}
            onChange={(label) => change({ label })}
          />
        )}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a table that scrolls has to be reached by keyboard. */}
      <section className={styles['scroll']} tabIndex={0} aria-label="First rows of the table">
        <table data-testid="table-rows">
          <thead>
            <tr>
              {columns.map((name) => (
                <th key={name} scope="col" data-role={roles[name]}>
                  {name}
                  {roles[name] && <small>{roles[name]}</small>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows of a file, which do not move.
              <tr key={i}>
                {columns.map((name, at) => (
                  <td key={name} data-role={roles[name]}>
                    {row[at]}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <Tokens dataset={dataset} />
    </section>
  );
}

const tasks = [
  { id: 'classification', label: 'to tell classes apart' },
  { id: 'causal-lm', label: 'to write on, or answer' },
  { id: 'masked-lm', label: 'to fill gaps' },
] as const;

type TaskId = (typeof tasks)[number]['id'];

/** What is learnt of the texts. */
function Learn({ task, onChange }: { task: TaskId; onChange: (task: TaskId) => void }) {
  return (
    <label>
      <span>Learn</span>
      <select
        className={parts['field']}
        value={task}
        onChange={(event) => onChange(event.target.value as TaskId)}
        data-testid="learn"
      >
        {tasks.map(({ id, label }) => (
          <option key={id} value={id}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}

interface ChoiceProps {
  label: string;
  value: string | null;
  columns: string[];
  /** What stands for no column, where there may be none. */
  none?: string;
  onChange: (value: string | null) => void;
}

function Choice({ label, value, columns, none, onChange }: ChoiceProps) {
  return (
    <label>
      <span>{label}</span>
      <select
        className={parts['field']}
        value={value ?? ''}
        onChange={(event) => onChange(event.target.value === '' ? null : event.target.value)}
        data-testid={`column-${label.toLowerCase().replace(' ', '-')}`}
      >
        {none !== undefined && <option value="">{none}</option>}
        {columns.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The first text in tokens; nothing where the chosen backbone reads something else. */
function Tokens({ dataset }: { dataset: DatasetView }) {
  const backbone = useMachine((s) => s.catalogue);
  const plan = usePlan();
  const card = backboneOf(backbone, plan.backbone);
  if (card?.modality !== 'text' || dataset.classes.length === 0) return null;
  return <Pieces dataset={dataset} card={card} length={sampleSizeOf(card, settingsOf(plan))} />;
}

function Pieces({ dataset, card, length }: { dataset: DatasetView; card: BackboneCard; length: number }) {
  const [view, setView] = useState<TokenView | null>(null);
  const [error, setError] = useState<StudioError | null>(null);
  useEffect(() => {
    let stale = false;
    engine()
      .tokens(dataset.id, card.id, 0, length)
      .then((found) => {
        if (stale) return;
        setView(found);
        setError(null);
      })
      .catch((thrown) => !stale && setError(asStudioError(thrown)));
    return () => {
      stale = true;
    };
  }, [dataset.id, card.id, length]);
  if (error) return <ErrorNote error={error} onDismiss={() => setError(null)} />;
  if (!view) return <div className={styles['tokens']} aria-hidden="true" />;
  return (
    <div className={styles['tokens']} data-testid="tokens">
      <p className={styles['caption']}>
        The first text as {card.title} reads it: {plural(view.pieces.length, 'token')} of at most {length}
        {view.cut > 0 && `, ${view.cut} cut off`}.
      </p>
      <p className={styles['pieces']}>
        {view.pieces.map((piece, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: tokens in their order, which do not move.
          <span key={i} data-special={piece.special || undefined}>
            {piece.text}
          </span>
        ))}
      </p>
    </div>
  );
}
