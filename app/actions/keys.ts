import type { Action, Key, Situation } from './types.ts';

interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
}

/** Where the press landed: typing keeps its letters, and a button keeps its Space. */
export type Focus = 'page' | 'control' | 'text';

export function presses(key: Key, press: Press, focus: Focus): boolean {
  if (press.altKey || key.key.toLowerCase() !== press.key.toLowerCase()) return false;
  if (Boolean(key.mod) !== (press.ctrlKey || press.metaKey)) return false;
  // Shift is part of how `?` is typed on most keyboards; it is asked about only where a command names it.
  if (key.shift !== undefined && key.shift !== press.shiftKey) return false;
  if (focus === 'text') return Boolean(key.mod) && key.key !== 'z';
  if (focus === 'control' && !key.mod) return key.key !== ' ' && key.key !== 'Enter';
  return true;
}

export function focusOf(element: Element | null): Focus {
  if (!element || element === element.ownerDocument.body) return 'page';
  if (element.matches('input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]'))
    return 'text';
  return element.matches('button, a, input, summary, [role=slider], [role^=menuitem], [role=tab]')
    ? 'control'
    : 'page';
}

/** The first command that answers this press and applies. */
export function actionFor(
  actions: readonly Action[],
  press: Press,
  focus: Focus,
  situation: Situation,
): Action | undefined {
  return actions.find(
    (action) => action.key && presses(action.key, press, focus) && applies(action, situation),
  );
}

export const applies = (action: Action, situation: Situation): boolean => action.when?.(situation) ?? true;

export const nameOf = (action: Action, situation: Situation): string =>
  typeof action.name === 'string' ? action.name : action.name(situation);

/** A key as it is printed: `Ctrl K`, `⌘K`, `Space`. */
export function printed(key: Key, apple: boolean): string {
  const name = key.key === ' ' ? 'Space' : key.key.length === 1 ? key.key.toUpperCase() : key.key;
  const shift = key.shift ? (apple ? '⇧' : 'Shift ') : '';
  return (key.mod ? (apple ? '⌘' : 'Ctrl ') : '') + shift + name;
}

/** How well a command answers what was typed, 0 to 1: its name from the start, a word of it, a keyword, any part. */
export function answers(name: string, typed: string, keywords: readonly string[] = []): number {
  const wanted = typed.trim().toLowerCase();
  const text = name.toLowerCase();
  if (wanted === '' || text.startsWith(wanted)) return 1;
  if (text.includes(` ${wanted}`)) return 0.8;
  if (keywords.some((word) => word.startsWith(wanted))) return 0.6;
  const parts = wanted.split(/\s+/);
  const all = `${text} ${keywords.join(' ')}`;
  return parts.every((part) => all.includes(part)) ? 0.3 : 0;
}
