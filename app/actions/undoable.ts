import { toast } from 'sonner';

/** Says what was done and offers to put it back. */
export function undoable(words: string, restore: () => void | Promise<void>): void {
  toast(words, { duration: 10_000, action: { label: 'Undo', onClick: () => void restore() } });
}
