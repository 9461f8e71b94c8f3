import { Switch as RadixSwitch, ToggleGroup } from 'radix-ui';
import { type CSSProperties, useEffect, useRef, useState } from 'react';
import styles from './parts.module.css';

interface SegmentsProps {
  label: string;
  value: string;
  options: { value: string; label: string }[];
  onChange: (value: string) => void;
}

export function Segments({ label, value, options, onChange }: SegmentsProps) {
  return (
    <ToggleGroup.Root
      type="single"
      className={styles['segments']}
      aria-label={label}
      value={value}
      onValueChange={(next) => next && onChange(next)}
    >
      {options.map((option) => (
        <ToggleGroup.Item key={option.value} value={option.value}>
          {option.label}
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}

interface SwitchProps {
  id?: string;
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  testId?: string;
}

export function Switch({ id, label, checked, onChange, testId }: SwitchProps) {
  return (
    <RadixSwitch.Root
      id={id}
      className={styles['switch']}
      aria-label={label}
      checked={checked}
      onCheckedChange={onChange}
      data-testid={testId}
    >
      <RadixSwitch.Thumb className={styles['thumb']} />
    </RadixSwitch.Root>
  );
}

interface NameProps {
  label: string;
  value: string;
  onCommit: (value: string) => void;
  style?: CSSProperties;
  testId?: string;
  /** For a field that comes up to be typed in: takes the focus at once, and says when it lost it. */
  onLeave?: () => void;
}

/** A name that is edited where it stands: Enter or leaving keeps it, Escape gives it up. */
export function NameField({ label, value, onCommit, style, testId, onLeave }: NameProps) {
  const field = useRef<HTMLInputElement | null>(null);
  const [text, setText] = useState(value);
  const cancelled = useRef(false);
  useEffect(() => setText(value), [value]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when it comes up.
  useEffect(() => {
    if (onLeave) field.current?.select();
  }, []);
  return (
    <input
      ref={field}
      className={styles['inline']}
      aria-label={label}
      title={label}
      value={text}
      spellCheck={false}
      style={{ fieldSizing: 'content', ...style } as CSSProperties}
      data-testid={testId}
      onChange={(event) => setText(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === 'Escape') cancelled.current = true;
        if (event.key === 'Enter' || event.key === 'Escape') event.currentTarget.blur();
        event.stopPropagation();
      }}
      onBlur={() => {
        const name = text.trim();
        if (!cancelled.current && name !== '' && name !== value) onCommit(name);
        else setText(value);
        cancelled.current = false;
        onLeave?.();
      }}
    />
  );
}
