import { type FileWithPath, fromEvent } from 'file-selector';
import type { DroppedFile } from '../../../workers/protocol.ts';

/** A path without the marks that browsers put before it. */
export const cleanPath = (path: string): string => path.replace(/^(\.?\/)+/, '');

/** The files of a drop, folders walked. Must be called while the event is being handled. */
export async function filesOfDrop(event: DragEvent | ClipboardEvent): Promise<DroppedFile[]> {
  const found = await fromEvent(event);
  return found
    .filter((file): file is FileWithPath => file instanceof File)
    .map((file) => ({ path: cleanPath(file.path ?? file.name), file }));
}

/** The files of an input; a folder's input keeps the path inside the folder. */
export const filesOfInput = (files: Iterable<File>): DroppedFile[] =>
  [...files].map((file) => ({ path: cleanPath(file.webkitRelativePath || file.name), file }));

/** Opens the browser's picker, by the inputs that `FileInputs` keeps on the page. */
export function pickFiles(kind: 'files' | 'folder'): void {
  const id = kind === 'files' ? 'drop-input' : 'folder-input';
  document.querySelector<HTMLInputElement>(`[data-testid="${id}"]`)?.click();
}
