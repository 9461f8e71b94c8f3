import { X } from 'lucide-react';
import { DropdownMenu, Dialog as RadixDialog } from 'radix-ui';
import { type ReactNode, useRef } from 'react';
import { IconButton } from './Button.tsx';
import styles from './parts.module.css';

interface OverlayProps {
  open: boolean;
  title: string;
  onClose: () => void;
  children: ReactNode;
}

function Overlay({ open, title, onClose, children, look }: OverlayProps & { look: 'sheet' | 'dialog' }) {
  return (
    <RadixDialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className={styles['overlay']} />
        <RadixDialog.Content className={styles[look]} aria-describedby={undefined}>
          <div className={styles['sheetHead']}>
            <RadixDialog.Title asChild>
              <h2>{title}</h2>
            </RadixDialog.Title>
            <RadixDialog.Close asChild>
              <IconButton label="Close">
                <X aria-hidden />
              </IconButton>
            </RadixDialog.Close>
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the keyboard. */}
          <div className={styles['sheetBody']} tabIndex={0}>
            {children}
          </div>
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

/** Comes up from the bottom on narrow screens. */
export const Sheet = (props: OverlayProps) => <Overlay look="sheet" {...props} />;
export const Dialog = (props: OverlayProps) => <Overlay look="dialog" {...props} />;

export interface MenuEntry {
  label: string;
  icon?: ReactNode;
  disabled?: boolean;
  /** Puts the focus somewhere itself, so the menu must not take it back to its button. */
  focuses?: boolean;
  perform: () => void;
}

export function Menu({
  trigger,
  entries,
  label,
}: {
  trigger: ReactNode;
  entries: MenuEntry[];
  label: string;
}) {
  const leave = useRef(false);
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          className={styles['menu']}
          onCloseAutoFocus={(event) => {
            if (leave.current) event.preventDefault();
            leave.current = false;
          }}
          align="end"
          sideOffset={4}
          aria-label={label}
        >
          {entries.map((entry) => (
            <DropdownMenu.Item
              key={entry.label}
              className={styles['menuItem']}
              disabled={entry.disabled}
              onSelect={() => {
                leave.current = entry.focuses ?? false;
                entry.perform();
              }}
            >
              {entry.icon}
              {entry.label}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
