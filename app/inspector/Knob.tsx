import { Zap } from 'lucide-react';
import { type ReactNode, useEffect, useId, useState } from 'react';
import type { Setting, Settings } from '../../models/describe.ts';
import { Switch } from '../parts/Inputs.tsx';
import parts from '../parts/parts.module.css';
import { figure } from '../text/format.ts';
import { fromSlider, NOTCHES, nudge, parse, toSlider } from '../text/knob.ts';
import styles from './inspector.module.css';

type Value = Settings[string];

export interface KnobProps {
  setting: Setting;
  value: Value;
  /** The value that fits this backbone and this data, where a click returns to. */
  preset: Value | undefined;
  turned: boolean;
  onTurn: (value: Value | undefined) => void;
  /** Told when the knob takes the focus, so that its cost can be shown before it is turned. */
  onConsider?: (considering: boolean) => void;
  cost?: ReactNode;
  running?: boolean;
  testId?: string;
  /** What a `modules` knob shows; it needs the backbone, which a knob does not know. */
  modules?: ReactNode;
}

/** One setting as a control: name, value, range, default, one sentence, what it costs. */
export function Knob(props: KnobProps) {
  const {
    setting,
    turned,
    preset,
    onTurn,
    onConsider,
    cost,
    running,
    testId = `knob-${setting.key}`,
  } = props;
  const id = useId();
  return (
    <fieldset
      className={styles['knob']}
      aria-label={setting.label}
      onFocus={() => onConsider?.(true)}
      onBlur={() => onConsider?.(false)}
      onPointerEnter={() => onConsider?.(true)}
      onPointerLeave={() => onConsider?.(false)}
    >
      <div className={styles['knobHead']}>
        <label htmlFor={id} className={styles['knobName']}>
          {setting.label}
        </label>
        {setting.live && (
          <span
            className={`${parts['chip']} ${running ? parts['live'] : ''}`}
            title={running ? 'Takes effect at the next step' : 'Can be turned while a run trains'}
          >
            <Zap aria-hidden style={{ width: 12, height: 12 }} />
            live
          </span>
        )}
        <Control {...props} id={id} testId={testId} />
      </div>
      <Slider {...props} testId={testId} />
      {setting.kind === 'modules' && props.modules}
      <p className={styles['help']} id={`${id}-help`}>
        {setting.help}
      </p>
      <p className={styles['range']}>
        <span>{rangeWords(setting, preset)}</span>
        {turned && (
          <button type="button" className={styles['reset']} onClick={() => onTurn(undefined)}>
            Reset
          </button>
        )}
        <span className={styles['cost']}>{cost}</span>
      </p>
    </fieldset>
  );
}

function rangeWords(setting: Setting, preset: Value | undefined): string {
  const base = preset ?? setting.default;
  const words = [`Default ${valueWords(setting, base)}`];
  if (setting.min !== undefined && setting.max !== undefined)
    words.push(`${figure(setting.min)} to ${figure(setting.max)}`);
  return words.join(', ');
}

function valueWords(setting: Setting, value: Value): string {
  if (typeof value === 'number') return `${figure(value)}${setting.unit ? ` ${setting.unit}` : ''}`;
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value)) return value.length > 2 ? `${value.length} modules` : value.join(', ') || 'none';
  return setting.options?.find((o) => o.value === value)?.label ?? value;
}

function Control({ setting, value, onTurn, id, testId }: KnobProps & { id: string; testId: string }) {
  if (setting.kind === 'boolean')
    return (
      <Switch id={id} label={setting.label} checked={value === true} onChange={onTurn} testId={testId} />
    );
  if (setting.kind === 'choice')
    return <Choice setting={setting} value={value} onTurn={onTurn} id={id} testId={testId} />;
  if (setting.kind === 'modules') return null;
  return <NumberField setting={setting} value={Number(value)} onTurn={onTurn} id={id} testId={testId} />;
}

function Choice({
  setting,
  value,
  onTurn,
  id,
  testId,
}: Pick<KnobProps, 'setting' | 'value' | 'onTurn'> & { id: string; testId: string }) {
  return (
    <select
      id={id}
      className={styles['select']}
      value={String(value)}
      data-testid={testId}
      aria-describedby={`${id}-help`}
      onChange={(event) => onTurn(event.target.value)}
    >
      {(setting.options ?? []).map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}

interface NumberProps {
  setting: Setting;
  value: number;
  onTurn: (value: number) => void;
  id: string;
  testId: string;
}

function NumberField({ setting, value, onTurn, id, testId }: NumberProps) {
  const [text, setText] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a value set from elsewhere replaces what was being typed.
  useEffect(() => {
    setText(null);
    setProblem(null);
  }, [value]);
  const commit = () => {
    if (text === null) return;
    const read = parse(setting, text);
    if ('problem' in read) return setProblem(read.problem);
    setProblem(null);
    setText(null);
    if (read.value !== value) onTurn(read.value);
  };
  return (
    <span className={styles['number']} data-wrong={problem !== null || undefined}>
      <input
        id={id}
        inputMode="decimal"
        autoComplete="off"
        value={text ?? figure(value)}
        aria-invalid={problem !== null}
        aria-describedby={problem ? `${id}-problem` : `${id}-help`}
        data-testid={testId}
        onChange={(event) => setText(event.target.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === 'Enter') commit();
          if (event.key === 'Escape') {
            setText(null);
            setProblem(null);
          }
          if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
          event.preventDefault();
          onTurn(nudge(setting, value, event.key === 'ArrowUp' ? 1 : -1));
        }}
      />
      {setting.unit && <span className={styles['unit']}>{setting.unit}</span>}
      {problem && (
        <span className={styles['problem']} id={`${id}-problem`} role="alert">
          {problem}
        </span>
      )}
    </span>
  );
}

function Slider({ setting, value, preset, onTurn, testId }: KnobProps) {
  const numeric = setting.kind === 'integer' || setting.kind === 'number';
  if (!numeric || typeof value !== 'number' || setting.min === undefined || setting.max === undefined)
    return null;
  const base = typeof preset === 'number' ? preset : Number(setting.default);
  return (
    <span className={styles['slider']}>
      <input
        type="range"
        min={0}
        max={NOTCHES}
        value={toSlider(setting, value)}
        aria-label={`${setting.label}, slider`}
        aria-valuetext={`${figure(value)}${setting.unit ? ` ${setting.unit}` : ''}`}
        data-testid={`${testId}-slider`}
        style={{ '--at': `${(toSlider(setting, value) / NOTCHES) * 100}%` } as React.CSSProperties}
        onChange={(event) => onTurn(fromSlider(setting, Number(event.target.value)))}
        onKeyDown={(event) => {
          const up = event.key === 'ArrowRight' || event.key === 'ArrowUp';
          const down = event.key === 'ArrowLeft' || event.key === 'ArrowDown';
          if (!up && !down) return;
          event.preventDefault();
          onTurn(nudge(setting, value, up ? 1 : -1));
        }}
      />
      <i
        style={{ left: `calc(7px + (100% - 14px) * ${toSlider(setting, base) / NOTCHES})` }}
        aria-hidden="true"
      />
    </span>
  );
}
