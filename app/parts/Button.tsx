import type { ButtonHTMLAttributes, ReactNode } from 'react';
import styles from './parts.module.css';

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: 'primary' | 'plain';
  size?: 'small' | 'big';
  wide?: boolean;
  children: ReactNode;
}

const classes = (...names: (string | false | undefined)[]) => names.filter(Boolean).join(' ');

export function Button({ look, size, wide, className, children, ...rest }: Props) {
  return (
    <button
      type="button"
      className={classes(
        styles['button'],
        look && styles[look],
        size && styles[size],
        wide && styles['wide'],
        className,
      )}
      {...rest}
    >
      {children}
    </button>
  );
}

interface IconProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** What it does; read aloud and shown on hover. */
  label: string;
  small?: boolean;
  children: ReactNode;
}

export function IconButton({ label, small, className, children, ...rest }: IconProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className={classes(styles['button'], styles['icon'], small && styles['small'], className)}
      {...rest}
    >
      {children}
    </button>
  );
}
